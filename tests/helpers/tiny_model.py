"""A folder of checkpoints as training leaves it, with random weights, for tests of generation and scoring."""
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.find import ModelFiles, find_model
from src.checkpoints.load import network_arrays
from src.text.text_processing import TextProcessing
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.dictionary import Dictionary
from src.utils.load_weights import save_weights

TEXT = ["The cat sat on the mat .", "A dog ate the cat 's food !", "Who let the dogs out ?", "The mat is new ."]
CODES = "#version: 0.2\nt h\nth e</w>\na t</w>\nc at</w>\nd o\ndo g</w>\n"
PROCESSING = {"tokenizer": "nltk", "lower_case": True, "digits_to_hash": True, "brackets_to_names": True}
MODEL = {"vocab_size": 0, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
         "seq_length": 40, "max_position_embeddings": 40, "max_decode_length": 10, "beam_width": 3,
         "length_penalty_weight": 0.6, "no_repeat_ngram_size": 1, "compute_type": "float32"}


def make_model_folder(folder: Path, names: tuple[str, ...] = ("best.safetensors",),
                      processing: Mapping[str, object] = PROCESSING, codes_text: str = CODES,
                      lines: Sequence[str] = TEXT) -> ModelFiles:
    """Write vocabulary, text.json, codes, and weights of a network with sharp logits under each of `names`.

    The vocabulary is that of `lines`; without `codes_text`, its tokens are words.
    """
    codes = folder / "codes"
    codes.write_text(codes_text)
    text = TextProcessing(**processing, codes=str(codes) if codes_text else "")
    text.save(str(folder))
    tokens = Counter(token for line in text.encode(lines).subwords for token in line.split())
    vocabulary = Dictionary.from_counts(tokens)
    vocabulary.persistence(str(folder / "words.bin"))
    config = tiny_config(vocabulary)
    network = TransformerForTrain(config.model_config, MindSporeOperators())
    arrays = network_arrays(network)
    arrays["embedding.table"] = 3 * arrays["embedding.table"]
    metadata = {"step": 7, "config": dataclasses.asdict(config),
                "vocabulary": {"file": "words.bin", "size": len(vocabulary), "fingerprint": vocabulary.fingerprint}}
    for name in names:
        save_weights(str(folder / name), arrays, metadata)
    codes.unlink()  # the folder holds its own copy
    return find_model(checkpoint=str(folder))


def tiny_config(vocabulary: Dictionary) -> Config:
    """Return the configuration of the tiny model for a vocabulary."""
    return config_from_dict({"dataset_config": {"eval_batch_size": 4},
                             "model_config": {**MODEL, "vocab_size": len(vocabulary)}})
