"""Finished and unfinished hypotheses."""
from dataclasses import dataclass, field

import numpy as np

from src.utils.dictionary import BOS_INDEX, EOS_INDEX


@dataclass(frozen=True)
class Hypothesis:
    """A finished answer."""

    ids: tuple[int, ...]  # with </s>
    log_prob: float  # sum over the ids
    score: float  # log_prob divided by the length penalty
    # [ids, source_len]: what the last layer looked at in the source when it predicted each of the ids, mean over its
    # heads; None unless asked for.
    attention: np.ndarray | None = field(default=None, compare=False)


def length_penalty(length: int | np.ndarray, weight: float) -> float | np.ndarray:
    """((5 + length) / 6)^weight (Wu et al., 2016, 7); `length` counts </s>."""
    return ((5.0 + length) / 6.0) ** weight


class FinishedHypotheses:
    """The best finished hypotheses of each sentence of a batch, best first, `capacity` at most."""

    def __init__(self, batch: int, capacity: int):
        self.kept: list[list[Hypothesis]] = [[] for _ in range(batch)]
        self._capacity = capacity
        self._least = np.full(batch, -np.inf)  # what a score must exceed to be kept

    def add(self, sentence: int, hypothesis: Hypothesis) -> None:
        kept = self.kept[sentence]
        kept.append(hypothesis)
        kept.sort(key=lambda one: -one.score)
        del kept[self._capacity :]
        if len(kept) == self._capacity:
            self._least[sentence] = kept[-1].score

    def cannot_improve(self, sentences: np.ndarray | int, best_scores: np.ndarray | float) -> np.ndarray:
        """Whether hypotheses of at most these scores, -inf for none, would change nothing; both [sentences]."""
        return best_scores <= self._least[sentences]


class LiveHypotheses:
    """The unfinished hypotheses of those sentences of a batch that are still searched, `width` each.

    A log-probability of -inf marks a place without one. At first, `first` places of each sentence hold <s> alone.
    """

    def __init__(self, batch: int, width: int, max_length: int, first: int):
        self.sentences = np.arange(batch)  # indices into the batch
        self.log_probs = np.full((batch, width), -np.inf)  # [sentences, width]
        self.log_probs[:, :first] = 0.0
        self._places = np.arange(width, dtype=np.int32)
        self._ids = np.full((batch, width, max_length), BOS_INDEX, np.int32)
        self._ancestors = np.broadcast_to(self._places[:, None], self._ids.shape).copy()
        self._attention: list[np.ndarray] = []  # for each position, [batch, width, source_len]
        self._length = 1

    @property
    def ids(self) -> np.ndarray:
        """[sentences, width, position + 1], <s> first."""
        return self._ids[:, :, : self._length]

    @property
    def last_ids(self) -> np.ndarray:
        """[sentences, width]"""
        return np.ascontiguousarray(self._ids[:, :, self._length - 1])

    @property
    def ancestors(self) -> np.ndarray:
        """[sentences, width, position + 1]; see Step."""
        return self._ancestors[:, :, : self._length]

    def advance(self, parents: np.ndarray, symbols: np.ndarray, log_probs: np.ndarray) -> None:
        """Replace all by continuations: symbol `symbols` of place `parents`, each [sentences, width]."""
        rows, length = np.arange(len(parents))[:, None], self._length
        self._ids[:, :, :length] = self._ids[rows, parents, :length]
        self._ids[:, :, length] = symbols
        self._ancestors[:, :, :length] = self._ancestors[rows, parents, :length]
        self._ancestors[:, :, length] = self._places
        self.log_probs = log_probs
        self._length += 1

    def keep(self, wanted: np.ndarray) -> None:
        """Leave out the sentences where `wanted` [sentences] is false."""
        if not wanted.all():
            self.sentences, self.log_probs = self.sentences[wanted], self.log_probs[wanted]
            self._ids, self._ancestors = self._ids[wanted], self._ancestors[wanted]

    def remember_attention(self, attention: np.ndarray | None, batch: int) -> None:
        """Take up the attention [sentences, width, source_len] of the newest symbols, if there is any."""
        if attention is not None:
            whole = np.zeros((batch, *attention.shape[1:]), np.float32)
            whole[self.sentences] = attention
            self._attention.append(whole)

    def close(self, finished: FinishedHypotheses, log_probs: np.ndarray, weight: float) -> None:
        """Add </s> to some of them, which are finished then.

        Args:
            finished: takes them up.
            log_probs: [sentences, width], with </s>; -inf for those that are not closed.
            weight: of the length penalty.
        """
        penalty = length_penalty(self._length, weight)
        for row, place in zip(*np.nonzero(log_probs > -np.inf), strict=True):
            sentence, log_prob = self.sentences[row], float(log_probs[row, place])
            if finished.cannot_improve(sentence, log_prob / penalty):
                continue
            attention = None
            if self._attention:
                attention = np.stack([step[sentence, ancestor] for step, ancestor in
                                      zip(self._attention, self.ancestors[row, place], strict=True)])
            ids = (*map(int, self.ids[row, place, 1:]), EOS_INDEX)
            finished.add(sentence, Hypothesis(ids, log_prob, log_prob / penalty, attention))
