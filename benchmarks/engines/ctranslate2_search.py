"""The peer CTranslate2: its search on our network, converted from the same weights."""
import os
from collections.abc import Sequence
from types import SimpleNamespace

import ctranslate2

from benchmarks.engines.search_workload import SearchSettings, Sources
from src.utils.dictionary import SPECIAL_TOKENS

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))  # CTranslate2's default is 4 everywhere


class CTranslate2Search:
    """Beam search in one of CTranslate2's number formats.

    Its threads work on one batch together, or each takes a share of the sentences; one sentence is one thread's.
    """

    def __init__(self, settings: SearchSettings, seed: int):
        self._tokens = tokens_of(settings.model.vocab_size)
        self._workers = THREADS if settings.share_batches else 1
        self._translator = ctranslate2.Translator(
            settings.folder, device="cpu", inter_threads=self._workers, intra_threads=THREADS // self._workers,
            compute_type=settings.number_format)
        threads = f"{self._workers} workers of {THREADS // self._workers} threads"
        self.description = (f"CTranslate2 {ctranslate2.__version__}, {self._translator.compute_type}, {threads}; this "
                            f"processor has {', '.join(sorted(supported_formats()))}")
        self.weights = settings.weights

    def step(self, sources: Sources) -> float:
        """Return the mean length of the predictions."""
        sentences = [[self._tokens[number] for number in ids] for ids in sources.ids]
        found = self._translator.translate_batch(
            sentences, max_batch_size=-(-len(sentences) // self._workers), beam_size=sources.beam, length_penalty=1.0,
            max_input_length=0, min_decoding_length=sources.prediction_length,
            max_decoding_length=sources.prediction_length)
        return sum(len(result.hypotheses[0]) for result in found) / len(found)

    def wait(self) -> None:
        """Return at once: translate_batch returns when the predictions are there."""


class Converter:
    """Writes our network, with the weights that it has at the start, as CTranslate2 reads it."""

    def __init__(self, settings: SearchSettings, seed: int):
        # MindSpore is imported here only, because the memory of CTranslate2Search is measured.
        from benchmarks.engines.mindspore_search import CachedSearch
        from src.export.ctranslate2.specification import make_specification

        engine = CachedSearch(settings._replace(number_format="float32"), seed)
        files = SimpleNamespace(config=SimpleNamespace(model_config=settings.model),
                                vocabulary=SimpleNamespace(tokens=tokens_of(settings.model.vocab_size)))
        spec = make_specification(SimpleNamespace(files=files, weights=engine.arrays(), positions=engine.positions()))
        spec.validate()
        spec.optimize()
        spec.save(settings.folder)
        self.description, self.weights = settings.folder, engine.weights


def tokens_of(vocabulary: int) -> Sequence[str]:
    """Return the tokens of a vocabulary of this size."""
    return [*SPECIAL_TOKENS, *(f"t{number}" for number in range(len(SPECIAL_TOKENS), vocabulary))]


def supported_formats() -> set[str]:
    """Return the number formats that CTranslate2 has on this processor."""
    return ctranslate2.get_supported_compute_types("cpu")
