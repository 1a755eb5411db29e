"""Tiny models to export and to import, and sentences that exports must treat as eval.py does."""
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from src.checkpoints.find import ModelFiles, find_model
from src.export.huggingface.names import pegasus_name
from src.text.text_processing import TextProcessing
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.transformer import Transformer
from src.utils.dictionary import EOS_INDEX
from src.utils.load_weights import load_weights, save_weights
from tests.helpers.tiny_model import TEXT, make_model_folder
from tests.helpers.tiny_network import MODEL, named_arrays

SENTENCES = [
    *TEXT, "the cat", "THE DOG'S 42 MATS, 1,000.50 $", 'He said "cannot", didn\'t he?',
    "<unk> UNK <UNK> cat <mask> </s>", "the\u00a0cat\tsat", "naïve ΣΊΣΥΦΟΣ ☃☃ 猫 🐈", "cat@@ @@ the@@",
    "``the'' ... (cat) [mat] -- dog's; a/b & c*d", "İstanbul ǅ", "the cat sat on the mat . " * 12]
"""Raw sentences: ordinary ones, quotes, numbers, special tokens, odd characters, and one that must be truncated."""


_END_BONUS = 8.0  # is added to the logit of </s>


def make_export_model(folder: Path, model: Mapping[str, object] | None = None, **changes: object) -> ModelFiles:
    """Write a run folder whose biases and norms differ from 0 and 1, so that one that is misplaced changes the result.

    Its predictions end by themselves.

    Args:
        model: arguments of make_model_folder.
        changes: values of model_config.
    """
    folder.mkdir(exist_ok=True)
    make_model_folder(folder, **(model or {}))
    path = str(folder / "best.safetensors")
    weights = load_weights(path)
    generator = np.random.default_rng(5)
    for name, array in weights.arrays.items():
        noise = 0.3 * generator.normal(size=array.shape)
        weights.arrays[name] = (array + noise * (array.ndim == 1)).astype(np.float32)
    end = weights.arrays["embedding.table"][EOS_INDEX]
    weights.arrays["decoder.norm.beta"] += (_END_BONUS * end / (end @ end)).astype(np.float32)
    save_weights(path, weights.arrays, weights.metadata)
    overrides = [f"model_config.{key}={value}" for key, value in changes.items()]
    return find_model(checkpoint=str(folder), overrides=overrides)


def text_of(files: ModelFiles) -> TextProcessing:
    """Return the text processing of a model in a run folder."""
    return TextProcessing.load(str(Path(files.checkpoint).parent))


_PEGASUS_TOKENS = ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>", *(f"▁word{i}" for i in range(20)), "two words",
                   "<s>"]
PEGASUS_CONFIG = {
    "model_type": "pegasus", "vocab_size": MODEL.vocab_size, "d_model": MODEL.hidden_size, "dropout": 0.3,
    "max_position_embeddings": MODEL.max_position_embeddings, "activation_function": "relu", "scale_embedding": True,
    "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
    **{f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in
       (("layers", 2), ("attention_heads", 2), ("ffn_dim", MODEL.intermediate_size))}}
"""config.json of a Pegasus model with the sizes of tiny_network.MODEL."""


def write_pegasus(folder: Path, arrays=None, **config) -> str:
    """Write a folder as transformers does, with random weights; `config` and `arrays` change it."""
    folder.mkdir()
    network = Transformer(MODEL, MindSporeOperators())
    weights = {pegasus_name(name): array for name, array in named_arrays(network).items()}
    save_file({**weights, **(arrays or {})}, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({**PEGASUS_CONFIG, **config}))
    tokens = [[name, -float(place)] for place, name in enumerate(_PEGASUS_TOKENS)]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "unk_id": 4, "vocab": tokens}}))
    return str(folder)
