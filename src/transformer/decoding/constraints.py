"""What an answer must not hold: each constraint takes candidates and returns them with -inf at what it forbids.

A search is exact under constraints because each says how many symbols of a hypothesis it can forbid at most: the
network returns so many more of the most probable symbols than the search ranks.
"""
from typing import NamedTuple, Protocol

import numpy as np

from src.transformer.decoding.options import SearchOptions
from src.transformer.decoding.step import StepResult
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX, UNK_INDEX

NEVER_ANSWERED = (PAD_INDEX, BOS_INDEX, MASK_INDEX)


class Constraint(Protocol):
    """Candidates in, candidates out."""

    @property
    def most_forbidden(self) -> int:
        """Symbols that it forbids after one hypothesis, at most."""

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        """Forbid candidates that follow `live_ids` [sentences, width, position + 1], whose first symbol is <s>."""


class ForbiddenSymbols(NamedTuple):
    """No answer holds these symbols."""

    ids: tuple[int, ...]

    @property
    def most_forbidden(self) -> int:
        return len(self.ids)

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        forbidden = candidates.ids == self.ids[0]
        for symbol in self.ids[1:]:
            forbidden |= candidates.ids == symbol
        return _without(candidates, forbidden)


class MinimumLength(NamedTuple):
    """No answer is shorter than this, </s> counted."""

    length: int

    @property
    def most_forbidden(self) -> int:
        return 1

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        if live_ids.shape[2] >= self.length:  # symbols with </s> but without <s>, if the answer ended here
            return candidates
        return _without(candidates, candidates.ids == EOS_INDEX)


class NoRepeatedNgram(NamedTuple):
    """No answer holds the same n symbols in a row twice (Paulus et al., 2018, 2.5). </s> is never forbidden."""

    size: int
    max_length: int

    @property
    def most_forbidden(self) -> int:
        return max(0, self.max_length - self.size)  # an n-gram begins at no more places than these

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        answers = live_ids[:, :, 1:]
        length = answers.shape[2]
        if length < self.size:
            return candidates
        ngrams = np.lib.stride_tricks.sliding_window_view(answers, self.size, axis=2)
        latest = answers[:, :, None, length - self.size + 1 :]  # the symbols that a new n-gram would begin with
        seen = np.where((ngrams[..., :-1] == latest).all(-1), ngrams[..., -1], EOS_INDEX)  # [sentences, width, ngrams]
        repeats = (candidates.ids[..., None] == seen[:, :, None, :]).any(-1) & (candidates.ids != EOS_INDEX)
        return _without(candidates, repeats)


def constraints_of(options: SearchOptions) -> tuple[Constraint, ...]:
    """Those that the options ask for."""
    found: list[Constraint] = [ForbiddenSymbols(NEVER_ANSWERED + (UNK_INDEX,) * options.ban_unk)]
    if options.min_length > 1:
        found.append(MinimumLength(options.min_length))
    if options.no_repeat_ngram_size:
        found.append(NoRepeatedNgram(options.no_repeat_ngram_size, options.max_length))
    return tuple(found)


def candidates_needed(options: SearchOptions, vocab_size: int) -> int:
    """How many of the most probable symbols the network must return for each hypothesis.

    Beam search ranks 2 * beam_width, sampling the top_k, or all symbols, beside those that are forbidden.
    """
    ranked = 2 * options.beam_width
    if options.sampling:
        ranked = options.sampling.top_k or vocab_size
    return min(ranked + sum(constraint.most_forbidden for constraint in constraints_of(options)), vocab_size)


def apply_constraints(constraints: tuple[Constraint, ...], live_ids: np.ndarray, candidates: StepResult) -> StepResult:
    """One after another."""
    for constraint in constraints:
        candidates = constraint(live_ids, candidates)
    return candidates


def _without(candidates: StepResult, forbidden: np.ndarray) -> StepResult:
    return candidates._replace(log_probs=np.where(forbidden, np.float32(-np.inf), candidates.log_probs))
