"""A tiny model to export, and sentences that exports must treat as eval.py does."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src.checkpoints.find import ModelFiles, find_model
from src.text.text_processing import TextProcessing
from src.utils.dictionary import EOS_INDEX
from src.utils.load_weights import load_weights, save_weights
from tests.helpers.tiny_model import TEXT, make_model_folder

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
