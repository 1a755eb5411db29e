"""The comparison of an exported model, in its own runtime, with what eval.py computes."""
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.common.errors import MassError
from src.common.text_table import table_lines
from src.export.interface import ExportedModel, Generation, Runtime
from src.export.reference import Reference, make_reference
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary

DRAWN_SENTENCES = 64
"""The number of sentences that are drawn if none are given."""
_LONGEST_DRAWN = 20  # words


class Check(NamedTuple):
    """One line of the table: what was compared, what was found and what is required."""

    name: str
    found: str
    required: str  # empty: nothing
    passed: bool
    speed: float = 0.0  # sentences per second; 0: not measured


class Verification(NamedTuple):
    """The results of a verification."""

    sentences: int
    checks: list[Check]
    reference_speed: float  # of eval.py's search, sentences per second

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.passed]

    def lines(self) -> list[str]:
        """Return the table as lines of text."""
        rows = {"": ["found", "required"]}
        for check in self.checks:
            speed = f", {check.speed:.1f} sentences/s (eval.py {self.reference_speed:.1f})" if check.speed else ""
            rows[check.name] = [check.found + speed, check.required + ("" if check.passed else "  FAILED")]
        return [f"verified with {self.sentences} sentences:", *table_lines(rows)]


def verify(model: ExportedModel, runtime: Runtime, sentences: Sequence[str]) -> Verification:
    """Compare token ids, log-probabilities and predictions.

    Raises:
        MassError: there is no sentence with words.
    """
    reference = make_reference(model, sentences)
    if not reference.sentences:
        raise MassError("none of the sentences for the verification has words: give others with --sentences")
    checks = [_compare_ids(runtime, reference), _compare_log_probs(runtime, reference)]
    if not model.search.sampling:  # random numbers differ between runtimes
        checks += [_compare_predictions(generation, reference) for generation in runtime.generations()]
    return Verification(len(reference.sentences), checks, reference.sentences_per_second)


def draw_sentences(vocabulary: Dictionary, count: int = DRAWN_SENTENCES, seed: int = 1) -> list[str]:
    """Return sentences of whole words of a vocabulary, which are drawn in proportion to their frequencies."""
    generator = np.random.default_rng(seed)
    words = [number for number, token in enumerate(vocabulary.tokens)
             if number >= len(SPECIAL_TOKENS) and not token.endswith("@@")]
    frequencies = np.array([max(vocabulary.frequencies[number], 1) for number in words], np.float64)
    lengths = generator.integers(1, _LONGEST_DRAWN + 1, count)
    return [" ".join(vocabulary[words[place]]
                     for place in generator.choice(len(words), length, p=frequencies / frequencies.sum()))
            for length in lengths]


def _compare_ids(runtime: Runtime, reference: Reference) -> Check:
    found = runtime.token_ids(reference.sentences)
    equal = sum(list(one) == other for one, other in zip(found, reference.source_ids, strict=True))
    return Check("token ids of raw text", f"{equal} of {len(found)} equal", "all", equal == len(found))


def _compare_log_probs(runtime: Runtime, reference: Reference) -> Check:
    found = runtime.log_probs(reference.source_ids, reference.target_ids)
    differences = np.concatenate([np.abs(one - other) for one, other in zip(found, reference.log_probs, strict=True)])
    largest = float(differences.max())
    return Check("log-probabilities", f"differ by at most {largest:.1e} ({len(differences)} tokens)",
                 "" if runtime.tolerance is None else f"at most {runtime.tolerance:g}",
                 runtime.tolerance is None or largest <= runtime.tolerance)


def _compare_predictions(generation: Generation, reference: Reference) -> Check:
    start = time.perf_counter()
    found = generation.predict(reference.sentences)
    speed = len(found) / (time.perf_counter() - start)
    equal = sum(one == other for one, other in zip(found, reference.predictions, strict=True))
    return Check(f"predictions, {generation.name}", f"{equal} of {len(found)} equal", "all" if generation.exact else "",
                 equal == len(found) or not generation.exact, speed)
