"""Beam search over log-probabilities, on numpy arrays; the network is behind one `step` function."""
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from src.transformer.transformer_for_infer import StepResult
from src.utils.dictionary import BOS_INDEX, EOS_INDEX

# (position, last symbols [batch, beam_width], ancestors [batch, beam_width, position + 1]) -> next symbols
Step = Callable[[int, np.ndarray, np.ndarray], StepResult]


@dataclass(frozen=True)
class Hypothesis:
    """A finished answer."""

    ids: tuple[int, ...]  # with </s>
    log_prob: float  # sum over the ids
    score: float  # log_prob divided by the length penalty


def length_penalty(length: int | np.ndarray, weight: float) -> float | np.ndarray:
    """((5 + length) / 6)^weight (Wu et al., 2016, 7); `length` counts </s>."""
    return ((5.0 + length) / 6.0) ** weight


@dataclass
class FinishedHypotheses:
    """The best finished hypotheses of one sentence, best first."""

    capacity: int
    kept: list[Hypothesis] = field(default_factory=list)

    def add(self, hypothesis: Hypothesis) -> None:
        self.kept.append(hypothesis)
        self.kept.sort(key=lambda kept: -kept.score)
        del self.kept[self.capacity :]

    def cannot_improve(self, best_score: float) -> bool:
        """Whether a hypothesis of at most `best_score` would change nothing."""
        return len(self.kept) == self.capacity and best_score <= self.kept[-1].score


class LiveHypotheses:
    """The unfinished hypotheses of a batch, ranked; a log-probability of -inf marks a beam without one."""

    def __init__(self, batch: int, beam_width: int):
        self.ids = np.full((batch, beam_width, 1), BOS_INDEX, np.int32)  # [batch, beam_width, position + 1]
        self.log_probs = np.full((batch, beam_width), -np.inf)
        self.log_probs[:, 0] = 0.0
        self.ancestors = np.broadcast_to(np.arange(beam_width)[:, None], self.ids.shape)

    def advance(self, parents: np.ndarray, symbols: np.ndarray, log_probs: np.ndarray) -> None:
        """Replace all by continuations: symbol `symbols` of beam `parents`, each [batch, beam_width]."""
        beam_width = parents.shape[1]
        own = np.broadcast_to(np.arange(beam_width)[:, None], (*parents.shape, 1))
        self.ids, self.ancestors = (
            np.concatenate([np.take_along_axis(past, parents[..., None], axis=1), new], axis=2)
            for past, new in ((self.ids, symbols[..., None]), (self.ancestors, own)))
        self.log_probs = log_probs


def rank_candidates(live_log_probs: np.ndarray, result: StepResult, count: int) -> tuple[np.ndarray, ...]:
    """The `count` best continuations over all beams: (log_probs, parents, symbols), each [batch, count], falling."""
    batch, beam_width, candidates = result.ids.shape
    totals = (live_log_probs[..., None] + result.log_probs).reshape(batch, beam_width * candidates)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :count]
    symbols = np.take_along_axis(result.ids.reshape(batch, -1), order, axis=1)
    return np.take_along_axis(totals, order, axis=1), order // candidates, symbols


def beam_search(step: Step, batch: int, beam_width: int, max_length: int, length_penalty_weight: float,
                n_best: int = 1) -> list[list[Hypothesis]]:
    """The `n_best` best finished hypotheses of each sentence, best first.

    Of the 2 * beam_width best continuations, those with </s> among the first beam_width are finished and the best
    beam_width others live on. A sentence is done when no live hypothesis can enter its n best any more: since
    log-probabilities only fall, one of log-probability s can reach at most s / length_penalty(max_length). After
    max_length - 1 symbols all live ones are closed with </s>. A beam of 1 is greedy decoding if the length penalty's
    weight is 0; with a positive weight it goes on past a </s> as long as a longer answer may score better. No more than
    beam_width hypotheses are sure to finish, so an n_best beyond it may not be filled.
    """
    finished = [FinishedHypotheses(n_best) for _ in range(batch)]
    done = np.zeros(batch, bool)
    live = LiveHypotheses(batch, beam_width)
    for position in range(max_length):
        result = step(position, np.ascontiguousarray(live.ids[:, :, -1]), live.ancestors)
        penalty = length_penalty(position + 1, length_penalty_weight)
        if position == max_length - 1:
            _finish(finished, ~done, live, live.log_probs + result.eos_log_probs, penalty)
            break
        log_probs, parents, symbols = rank_candidates(live.log_probs, result, 2 * beam_width)
        ends = symbols == EOS_INDEX
        first = np.arange(ends.shape[1]) < beam_width
        _finish(finished, ~done, live, _scatter_ends(log_probs, parents, ends & first, beam_width), penalty)
        log_probs[ends] = -np.inf
        order = np.argsort(-log_probs, axis=1, kind="stable")[:, :beam_width]
        live.advance(*(np.take_along_axis(array, order, axis=1) for array in (parents, symbols, log_probs)))
        bounds = live.log_probs[:, 0] / length_penalty(max_length, length_penalty_weight)
        done = np.array([kept.cannot_improve(bound) for kept, bound in zip(finished, bounds, strict=True)])
        if done.all():
            break
    return [kept.kept for kept in finished]


def _scatter_ends(log_probs: np.ndarray, parents: np.ndarray, ends: np.ndarray, beam_width: int) -> np.ndarray:
    """[batch, beam_width]: log-probability of each beam's hypothesis with </s>, -inf where it does not end."""
    closed = np.full((len(parents), beam_width), -np.inf)
    rows, columns = np.nonzero(ends)
    closed[rows, parents[rows, columns]] = log_probs[rows, columns]
    return closed


def _finish(finished: list[FinishedHypotheses], open_rows: np.ndarray, live: LiveHypotheses, log_probs: np.ndarray,
            penalty: float) -> None:
    """Take up the hypotheses that end here, with their `log_probs` [batch, beam_width], -inf for those that do not."""
    for row, beam in zip(*np.nonzero(np.isfinite(log_probs) & open_rows[:, None]), strict=True):
        ids = (*map(int, live.ids[row, beam, 1:]), EOS_INDEX)
        log_prob = float(log_probs[row, beam])
        finished[row].add(Hypothesis(ids, log_prob, log_prob / penalty))
