"""Making a run folder of a Hugging Face model, from which one can generate, evaluate and train on."""
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from config.config import Config
from config.loading import config_from_dict, save_config
from src.checkpoints.files import CONFIG_FILE, LATEST
from src.checkpoints.find import find_checkpoint, find_text_processing
from src.checkpoints.model_zoo import refuse_model_zoo
from src.common.errors import MassError, UsageError
from src.common.files import atomic_folder, require_folder
from src.common.named_files import file_named
from src.export.folder import EXPORT_FILE, read_export_file, vocabulary_name
from src.export.huggingface.names import FINGERPRINT_KEY, TABLE
from src.export.huggingface.reader import PegasusModel, position_tables, read_pegasus, require_no_bias
from src.export.huggingface.vocabulary import foreign_vocabulary
from src.text.text_processing import TextProcessing
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.positional_embedding import sinusoids
from src.transformer.transformer import Transformer
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, PAD_INDEX, VOCABULARY_ENDING, Dictionary
from src.utils.load_weights import READERS, load_weights, read_metadata, save_weights, stored_vocabulary_path

_VOCABULARY_FILE = "vocabulary.dict.bin"
_CLOSE = 1e-5  # of position encodings, which other programs compute with other rounding


@dataclass(frozen=True)
class Origin:
    """What the weights of an imported model do not say themselves."""

    config: dict[str, Any]  # nodes of keys, as in a configuration file
    vocabulary: Dictionary
    vocabulary_file: str
    rows: Sequence[int]  # of the embedding table, for each token of the vocabulary
    text: TextProcessing | None = None
    step: Any = None


def import_model(folder: str, output: str, like: str = "", vocabulary: str = "", overrides: Sequence[str] = ()) -> str:
    """Write a run folder with the weights of a Hugging Face folder, and return the path of the weights.

    Args:
        like: a folder that export.py wrote, a run folder, or a checkpoint, of which the model has vocabulary, text
            processing and configuration. Empty: those of `folder` itself, if export.py wrote it.
        vocabulary: the persisted vocabulary of a model from elsewhere. Empty: it is made of the model's tokenizer.json.
        overrides: `node.key=value`.

    Raises:
        UsageError: the output exists, or the arguments contradict each other.
        MassError: the model has another architecture or vocabulary, or a file is missing or damaged.
    """
    if os.path.exists(output) and (not os.path.isdir(output) or os.listdir(output)):
        raise UsageError(f"--output {output!r} exists: choose another name")
    if like and vocabulary:
        raise UsageError("--like and --vocab both name a vocabulary: choose one")
    if os.path.isfile(folder):
        _refuse_file(folder)
    model = read_pegasus(folder)
    origin = _origin_of_folder(like or folder) or _foreign_origin(model, like, vocabulary)
    _require_vocabulary(model, origin)
    config = _config(model, origin, overrides)
    arrays = _weights(model, origin, config)
    description = {"file": origin.vocabulary_file, "size": len(origin.vocabulary),
                   "fingerprint": origin.vocabulary.fingerprint}
    with atomic_folder(output) as scratch:
        origin.vocabulary.persistence(os.path.join(scratch, origin.vocabulary_file))
        if origin.text:
            origin.text.save(scratch)
        save_config(config, os.path.join(scratch, CONFIG_FILE))
        save_weights(os.path.join(scratch, LATEST), arrays,
                     {"step": origin.step, "vocabulary": description, "config": dataclasses.asdict(config)})
    return os.path.join(output, LATEST)


def _refuse_file(path: str) -> None:
    """Raise an error that says why a file is not imported."""
    if path.endswith(tuple(READERS)):
        refuse_model_zoo(path, load_weights(path).arrays)
    raise UsageError(f"--input {path!r} is a file, but must be the folder of a Hugging Face model (weights of this "
                     f"program need no import: eval.py --ckpt reads them)")


def _origin_of_folder(path: str) -> Origin | None:
    """Return the origin that a folder of export.py, a run folder or a checkpoint describes; None if it describes none.

    A folder from elsewhere describes none.
    """
    exported = read_export_file(path) if os.path.isdir(path) else None
    if exported:
        found = file_named(exported["vocabulary"]["file"], os.path.join(path, EXPORT_FILE), "the vocabulary",
                           VOCABULARY_ENDING)
        text, metadata = TextProcessing.load(path), exported
    else:
        try:
            checkpoint = find_checkpoint(path)
        except MassError:
            return None
        metadata = read_metadata(checkpoint)
        found, text = stored_vocabulary_path(checkpoint, metadata), find_text_processing(checkpoint)
        if not found or "config" not in metadata:
            return None
    vocabulary = Dictionary.load_from_persisted_dict(found)
    if vocabulary.fingerprint != metadata["vocabulary"]["fingerprint"]:
        raise MassError(f"{found!r} is not the vocabulary that {path!r} describes: restore the original file")
    return Origin(metadata["config"], vocabulary, os.path.basename(found), range(len(vocabulary)), text,
                  metadata["step"] if exported else metadata.get("step"))


def _foreign_origin(model: PegasusModel, like: str, path: str) -> Origin:
    if like:
        require_folder(like, "--like")
        raise MassError(f"--like {like!r} is no folder of export.py, no run folder and no checkpoint")
    if FINGERPRINT_KEY in model.config:
        raise MassError(f"{model.folder!r} comes from export.py, but has no export.json: name the exported folder or "
                        f"the run folder that it was made of with --like")
    special = {"pad_token_id": PAD_INDEX, "eos_token_id": EOS_INDEX, "decoder_start_token_id": BOS_INDEX}
    if not path:
        made = foreign_vocabulary(model)
        return Origin({}, made.vocabulary, _VOCABULARY_FILE, made.rows)
    vocabulary = Dictionary.load_from_persisted_dict(path)
    if len(vocabulary) != model.config["vocab_size"]:
        raise MassError(f"--vocab {path!r} has {len(vocabulary)} tokens, but the model in {model.folder!r} has "
                        f"{model.config['vocab_size']}")
    different = [f"{key} {model.config[key]}" for key, number in special.items() if model.config[key] != number]
    if different:
        raise MassError(f"--vocab {path!r}: the model in {model.folder!r} has other special ids "
                        f"({', '.join(different)} instead of 0, 2 and 1): leave out --vocab, so that they are put in "
                        f"order")
    return Origin({}, vocabulary, vocabulary_name(path), range(len(vocabulary)))


def _require_vocabulary(model: PegasusModel, origin: Origin) -> None:
    """Raise a MassError if the model says that it has another vocabulary than its origin."""
    fingerprint = model.config.get(FINGERPRINT_KEY)
    if fingerprint and not isinstance(fingerprint, str):
        raise MassError(f"{model.folder!r}: {FINGERPRINT_KEY} in config.json is not a text")
    if fingerprint and fingerprint != origin.vocabulary.fingerprint:
        raise MassError(f"the model in {model.folder!r} has the vocabulary {fingerprint[:12]}, not "
                        f"{origin.vocabulary.fingerprint[:12]} ({origin.vocabulary_file}): name the folder that it was "
                        f"exported from with --like")
    if model.config["vocab_size"] <= max(origin.rows):
        raise MassError(f"the model in {model.folder!r} has {model.config['vocab_size']} tokens, its vocabulary "
                        f"{len(origin.vocabulary)}: name the folder that it was exported from with --like")
    require_no_bias(model, len(origin.vocabulary) if origin.config else model.config["vocab_size"])


def _config(model: PegasusModel, origin: Origin, overrides: Sequence[str]) -> Config:
    """Return the configuration of the origin with the sizes of the model."""
    theirs = model.config
    positions = theirs["max_position_embeddings"]
    own = {"hidden_size": theirs["d_model"], "num_hidden_layers": theirs["encoder_layers"],
           "num_attention_heads": theirs["encoder_attention_heads"], "intermediate_size": theirs["encoder_ffn_dim"],
           "hidden_act": theirs["activation_function"], "max_position_embeddings": positions,
           "vocab_size": len(origin.vocabulary), "position_encoding": _position_encoding(model)}
    known = dict(origin.config.get("model_config", {}))
    if not known:  # a model from elsewhere
        known = {"seq_length": positions, "max_decode_length": min(positions, 64),
                 "hidden_dropout_prob": theirs.get("dropout", 0.1),
                 "attention_dropout_prob": theirs.get("attention_dropout", 0.0)}
    return config_from_dict({**origin.config, "model_config": {**known, **own}}, overrides)


def _position_encoding(model: PegasusModel) -> str:
    """Return the value of model_config.position_encoding that the stored position encodings have."""
    shape, tables = (model.config["max_position_embeddings"], model.config["d_model"]), position_tables(model)
    if tables and all(table.shape == shape for table in tables):  # before encodings of that many positions are made
        for encoding in ("tensor2tensor", "pegasus"):
            computed = sinusoids(*shape, encoding)
            if all(np.abs(table - computed).max() <= _CLOSE for table in tables):
                return encoding
    if tables:
        raise MassError(f"the position encodings in {model.folder!r} are neither those of this network nor those of "
                        f"Pegasus, so they cannot be computed: models with learned positions cannot be imported")
    return "pegasus"


def _weights(model: PegasusModel, origin: Origin, config: Config) -> dict[str, np.ndarray]:
    """Return our weights, with the rows of the embedding table in the order of our vocabulary."""
    shapes = {parameter.name: tuple(parameter.shape) for parameter in
              Transformer(config.model_config, MindSporeOperators()).get_parameters()}
    arrays = model.our_weights(list(shapes))
    arrays[TABLE] = arrays[TABLE][np.asarray(origin.rows, np.int64)]
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise MassError(f"{name} has shape {list(arrays[name].shape)} in {model.folder!r}, and the network of its "
                            f"config.json {list(shape)}")
    return arrays
