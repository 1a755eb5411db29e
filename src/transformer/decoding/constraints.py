"""Constraints on predictions: each sets the log-probabilities of the candidates that it forbids to -inf.

A constraint states how many tokens it can forbid at most after one hypothesis. The network returns that many more
candidates than the search ranks, so that a search under constraints is exact.
"""
from typing import NamedTuple, Protocol

import numpy as np

from src.transformer.decoding.interface import StepResult
from src.transformer.decoding.options import SearchOptions
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX, UNK_INDEX

NEVER_PREDICTED = (PAD_INDEX, BOS_INDEX, MASK_INDEX)


class Constraint(Protocol):
    """A function from candidates to candidates."""

    @property
    def max_forbidden(self) -> int:
        """The largest number of tokens that the constraint forbids after one hypothesis."""

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        """Forbid candidates.

        Args:
            live_ids: [sentences, width, position + 1] int32, the hypotheses, which begin with <s>.
            candidates: their continuations.

        Returns:
            the candidates with log_probs of -inf where they are forbidden.
        """


class ForbiddenTokens(NamedTuple):
    """Predictions do not contain these tokens."""

    ids: tuple[int, ...]

    @property
    def max_forbidden(self) -> int:
        return len(self.ids)

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        forbidden = candidates.ids == self.ids[0]
        for token in self.ids[1:]:
            forbidden |= candidates.ids == token
        return _without(candidates, forbidden)


class MinimumLength(NamedTuple):
    """Predictions have at least this many tokens, including </s>."""

    length: int

    @property
    def max_forbidden(self) -> int:
        return 1

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        if live_ids.shape[2] >= self.length:  # the length with </s> in place of <s>, if the hypothesis ended here
            return candidates
        return _without(candidates, candidates.ids == EOS_INDEX)


class NoRepeatedNgram(NamedTuple):
    """Predictions contain no n-gram twice (Paulus et al., 2018, 2.5). </s> is never forbidden."""

    size: int
    max_length: int

    @property
    def max_forbidden(self) -> int:
        """One for each earlier occurrence of the latest n - 1 tokens, as no two of them were continued alike.

        Consecutive occurrences are n or more tokens apart, or d < n, which each d can be once: the first one is then
        continued by its own token at d (for n - 1 tokens that repeat after d), which is the same for each of them.
        """
        positions = max(0, self.max_length - self.size)  # at which an n-gram can begin
        return positions if self.size == 1 else min(positions, self.size - 1 + self.max_length // self.size)

    def __call__(self, live_ids: np.ndarray, candidates: StepResult) -> StepResult:
        tokens = live_ids[:, :, 1:]
        length = tokens.shape[2]
        if length < self.size:
            return candidates
        ngrams = np.lib.stride_tricks.sliding_window_view(tokens, self.size, axis=2)
        latest = tokens[:, :, None, length - self.size + 1 :]  # the tokens that a new n-gram would begin with
        seen = np.where((ngrams[..., :-1] == latest).all(-1), ngrams[..., -1], EOS_INDEX)  # [sentences, width, ngrams]
        repeats = (candidates.ids[..., None] == seen[:, :, None, :]).any(-1) & (candidates.ids != EOS_INDEX)
        return _without(candidates, repeats)


def constraints_of(options: SearchOptions) -> tuple[Constraint, ...]:
    """Return the constraints that the options ask for."""
    constraints: list[Constraint] = [ForbiddenTokens(NEVER_PREDICTED + (UNK_INDEX,) * options.ban_unk)]
    if options.min_length > 1:
        constraints.append(MinimumLength(options.min_length))
    if options.no_repeat_ngram_size:
        constraints.append(NoRepeatedNgram(options.no_repeat_ngram_size, options.max_length))
    return tuple(constraints)


def candidates_needed(options: SearchOptions, vocab_size: int) -> int:
    """Return the number of most probable tokens that the network must return for each hypothesis.

    Beam search ranks 2 * beam_width of them; sampling ranks top_k, or all. The forbidden ones come in addition.
    """
    ranked = 2 * options.beam_width
    if options.sampling:
        ranked = options.sampling.top_k or vocab_size
    return min(ranked + sum(constraint.max_forbidden for constraint in constraints_of(options)), vocab_size)


def apply_constraints(constraints: tuple[Constraint, ...], live_ids: np.ndarray, candidates: StepResult) -> StepResult:
    """Apply all constraints to the candidates; see Constraint."""
    for constraint in constraints:
        candidates = constraint(live_ids, candidates)
    return candidates


def _without(candidates: StepResult, forbidden: np.ndarray) -> StepResult:
    return candidates._replace(log_probs=np.where(forbidden, np.float32(-np.inf), candidates.log_probs))
