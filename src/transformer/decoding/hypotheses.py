"""Finished and unfinished hypotheses."""
from dataclasses import dataclass, field

import numpy as np

from src.utils.dictionary import BOS_INDEX, EOS_INDEX


@dataclass(frozen=True)
class Hypothesis:
    """A finished hypothesis: a prediction."""

    ids: tuple[int, ...]  # with </s>, without <s>
    log_prob: float  # the sum over the ids
    score: float  # log_prob divided by the length penalty
    # [ids, source_len], the weights of the last layer's cross-attention, averaged over the heads, in the step that
    # predicted each of the ids; None unless SearchOptions.attention.
    attention: np.ndarray | None = field(default=None, compare=False)


def length_penalty(length: int | np.ndarray, weight: float) -> float | np.ndarray:
    """Return ((5 + length) / 6)^weight (Wu et al., 2016, 7); `length` includes </s>."""
    return ((5.0 + length) / 6.0) ** weight


class FinishedHypotheses:
    """The best finished hypotheses of each sentence of a batch, best first, at most `capacity`."""

    def __init__(self, batch: int, capacity: int):
        self.best: list[list[Hypothesis]] = [[] for _ in range(batch)]
        self._capacity = capacity
        self._threshold = np.full(batch, -np.inf)  # a score must exceed it to be among the best

    def add(self, sentence: int, hypothesis: Hypothesis) -> None:
        """Add a hypothesis of a sentence, unless `capacity` others are better."""
        best = self.best[sentence]
        best.append(hypothesis)
        best.sort(key=lambda one: -one.score)
        del best[self._capacity :]
        if len(best) == self._capacity:
            self._threshold[sentence] = best[-1].score

    def cannot_improve(self, sentences: np.ndarray | int, scores: np.ndarray | float) -> np.ndarray:
        """Return whether hypotheses with at most these scores would change nothing, for each of `sentences`.

        A score of -inf stands for no hypothesis. Arguments and result are [sentences], or scalars.
        """
        return scores <= self._threshold[sentences]


class LiveHypotheses:
    """The unfinished hypotheses of the sentences of a batch that are still searched, `width` for each sentence.

    A log-probability of -inf marks an empty place. At the start, the first `first` places of each sentence hold <s>.
    """

    def __init__(self, batch: int, width: int, max_length: int, first: int):
        self.sentences = np.arange(batch)  # indices into the batch
        self.log_probs = np.full((batch, width), -np.inf)  # [sentences, width]
        self.log_probs[:, :first] = 0.0
        self._batch = batch
        self._places = np.arange(width, dtype=np.int32)
        self._ids = np.full((batch, width, max_length), BOS_INDEX, np.int32)
        self._ancestors = np.broadcast_to(self._places[:, None], self._ids.shape).copy()
        self._attention: list[np.ndarray] = []  # for each position, [batch, width, source_len]
        self._length = 1

    @property
    def ids(self) -> np.ndarray:
        """[sentences, width, position + 1] int32, beginning with <s>."""
        return self._ids[:, :, : self._length]

    @property
    def last_ids(self) -> np.ndarray:
        """[sentences, width] int32, the newest tokens."""
        return np.ascontiguousarray(self._ids[:, :, self._length - 1])

    @property
    def ancestors(self) -> np.ndarray:
        """[sentences, width, position + 1] int32; see StepFunction."""
        return self._ancestors[:, :, : self._length]

    def advance(self, parents: np.ndarray, tokens: np.ndarray, log_probs: np.ndarray) -> None:
        """Replace the hypotheses by continuations: those at places `parents` with `tokens` appended.

        All arguments are [sentences, width]; `log_probs` are those of the continuations.
        """
        rows, length = np.arange(len(parents))[:, None], self._length
        self._ids[:, :, :length] = self._ids[rows, parents, :length]
        self._ids[:, :, length] = tokens
        self._ancestors[:, :, :length] = self._ancestors[rows, parents, :length]
        self._ancestors[:, :, length] = self._places
        self.log_probs = log_probs
        self._length += 1

    def keep(self, kept: np.ndarray) -> None:
        """Remove the sentences for which `kept` [sentences] is false."""
        if not kept.all():
            self.sentences, self.log_probs = self.sentences[kept], self.log_probs[kept]
            self._ids, self._ancestors = self._ids[kept], self._ancestors[kept]

    def record_attention(self, attention: np.ndarray | None) -> None:
        """Store the attention [sentences, width, source_len] of the newest tokens; None stores nothing."""
        if attention is not None:
            of_batch = np.zeros((self._batch, *attention.shape[1:]), np.float32)
            of_batch[self.sentences] = attention
            self._attention.append(of_batch)

    def finish(self, finished: FinishedHypotheses, log_probs: np.ndarray, weight: float) -> None:
        """Add copies of some hypotheses, with </s> appended, to the finished ones.

        Args:
            finished: to which they are added.
            log_probs: [sentences, width], including </s>; -inf for hypotheses that are not finished.
            weight: exponent of the length penalty.
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
