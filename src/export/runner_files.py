"""The programs of an exported folder, for runtimes that know neither text nor our search; and their verification."""
import importlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from src.export.folder import vocabulary_name
from src.export.interface import ExportedModel, Generation, Runtime
from src.export.text_rules import PYTHON, UNKNOWN, detokenization_rules, text_rules
from src.text.jieba_tokenizer import JiebaTokenizer
from src.text.spelling import BRACKET_NAMES
from src.text.text_processing import TEXT_FILE, TextProcessing
from src.utils.dictionary import LOWER_CASE_MIN_FREQUENCY, UNKNOWN_SPELLINGS

_MODULES = ("mass_text", "mass_search", "mass_model")
_PROGRAM = "generate"
_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner")


def write_runner(model: ExportedModel, name: str, folder: str, **settings: Any) -> None:
    """Write the programs and runner.json, which they read; `write_shared_files` must have written its files already.

    Args:
        name: the format, whose generate.py is copied.
        settings: further settings for it.
    """
    for module in _MODULES:
        shutil.copyfile(os.path.join(_SOURCES, f"{module}.py"), os.path.join(folder, f"{module}.py"))
    shutil.copyfile(os.path.join(_SOURCES, name, f"{_PROGRAM}.py"), os.path.join(folder, f"{_PROGRAM}.py"))
    with open(os.path.join(folder, TEXT_FILE), encoding="utf-8") as stream:
        codes = json.load(stream)["codes"]
    search, text = model.search, model.text
    content = {
        "tokenizer": text.tokenizer, "lower_case": text.lower_case, "digits_to_hash": text.digits_to_hash,
        "bracket_names": BRACKET_NAMES if text.brackets_to_names else {},
        "codes": codes and codes["file"], "vocabulary": vocabulary_name(model.files.vocabulary_path),
        "lower_case_min_frequency": LOWER_CASE_MIN_FREQUENCY, "unknown_spellings": UNKNOWN_SPELLINGS,
        "unknown": UNKNOWN, "whole_words": _whole_words(text), "seq_length": model.files.config.model_config.seq_length,
        "batch_size": model.files.config.dataset_config.eval_batch_size, "beam_width": search.beam_width,
        "max_length": search.max_length, "min_length": search.min_length,
        "length_penalty": search.length_penalty_weight, "no_repeat_ngram_size": search.no_repeat_ngram_size,
        "ban_unk": search.ban_unk, "copy_unk": search.attention,
        "rules": text_rules(text, PYTHON), "output_rules": detokenization_rules(text, PYTHON),
        **settings}
    with open(os.path.join(folder, "runner.json"), "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")


def runner_example(folder: str) -> str:
    """Return the example of the model card."""
    return (f'```sh\necho "The text that the prediction is for ." | python {folder}/{_PROGRAM}.py\n```\n\n'
            f'Or in Python:\n\n```python\nimport sys\n\nsys.path.insert(0, "{folder}")\nfrom generate import load\n\n'
            f'print(load().predict(["The text that the prediction is for ."]))\n```')


def runner_notes(model: ExportedModel) -> list[str]:
    """Return notes for the model card."""
    notes = [f"`{_PROGRAM}.py` needs Python 3.10 or later, this runtime and numpy; it reads one sentence a line."]
    if model.text.tokenizer == "jieba":
        notes.append("The text is tokenized by jieba, which must be installed.")
    if model.files.config.model_config.decode_strategy == "sample":
        notes.append(f"The model was configured to sample; `{_PROGRAM}.py` uses beam search with "
                     f"{model.search.beam_width} hypotheses instead.")
    return notes


def load_program(folder: str) -> ModuleType:
    """Import generate.py of an exported folder, as users do, without leaving modules of these names behind."""
    names = (*_MODULES, _PROGRAM)
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        return importlib.import_module(_PROGRAM)
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class RunnerRuntime(Runtime):
    """The programs of an exported folder."""

    def __init__(self, model: ExportedModel, folder: str, exact: bool = True):
        """`exact`: predictions must equal those of eval.py."""
        self._program = load_program(folder)
        self._model = self._program.load(folder)
        self._exact, self._batch_size = exact, model.files.config.dataset_config.eval_batch_size
        if model.quantize:
            self.tolerance = None

    def token_ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """See Runtime."""
        text = self._model.text
        return [text.ids(text.subwords(sentence)) for sentence in sentences]

    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """See Runtime."""
        found: list[np.ndarray] = []
        for first in range(0, len(sources), self._batch_size):
            part = slice(first, first + self._batch_size)
            found += self._model.log_probs(sources[part], targets[part])
        return found

    def generations(self) -> Sequence[Generation]:
        """See Runtime."""
        return (Generation(f"{_PROGRAM}.py", self._model.predict, self._exact),)


def _whole_words(text: TextProcessing) -> str | None:
    """Return an expression with one group for what jieba must not split; None if it splits everything."""
    whole = JiebaTokenizer(iter, keep_words=text.tokenizer == "jieba" and text.rules > 1).whole
    return whole.pattern if whole else None
