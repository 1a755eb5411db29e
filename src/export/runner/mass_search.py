# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Beam search of MASS on MindSpore, for exported models. It needs numpy only.

A network has three methods:

    start(sources)                            encode sentences, lists of token ids
    step(ids, parents, position)              log-probabilities of the next tokens, and attention
    keep(sentences)                           continue with these sentences only; their places among those of the step

`ids` [sentences, width] are the newest tokens, all at `position`, and `parents` [sentences, width] say which hypothesis
of the sentence, in the step before, each of them continues. The results are [sentences, width, vocabulary] and
[sentences, width, source length].
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mass_text import BOS, EOS, MASK, PAD, UNK

_BLOCK = 64


class Found(NamedTuple):
    """The best prediction for a sentence."""

    ids: list[int]  # with </s>
    log_prob: float  # the sum over the tokens
    score: float  # log_prob divided by ((5 + number of tokens) / 6) ^ length_penalty
    attention: np.ndarray | None  # [tokens, source length]; None unless settings["copy_unk"]


def beam_search(network: Any, sources: Sequence[Sequence[int]], settings: dict[str, Any]) -> list[Found | None]:
    """Return the best prediction for each source, None if there is none; see `settings` in runner.json."""
    batch, width, longest = len(sources), settings["beam_width"], settings["max_length"]
    weight, sentences = settings["length_penalty"], np.arange(batch)
    forbidden = [PAD, BOS, MASK, *[UNK] * settings["ban_unk"]]
    best: list[Found | None] = [None] * batch
    best_scores = np.full(batch, -np.inf)
    live = np.full((batch, width), -np.inf)
    live[:, 0] = 0.0
    ids = np.full((batch, width, 1), BOS, np.int64)
    parents = np.broadcast_to(np.arange(width), (batch, width))
    attention: np.ndarray | None = None
    network.start(sources)

    def finish(row: int, place: int, log_prob: float, length: int) -> None:
        sentence, score = sentences[row], log_prob / penalty(length, weight)
        if log_prob > -np.inf and score > best_scores[sentence]:
            best_scores[sentence] = score
            history = None if attention is None else attention[row, place]
            best[sentence] = Found([*ids[row, place, 1:].tolist(), EOS], float(log_prob), float(score), history)

    for position in range(longest):
        log_probs, weights = network.step(ids[:, :, -1], parents, position)
        if np.isnan(log_probs[..., EOS]).any():
            raise ValueError("the network returns NaN")
        if settings["copy_unk"]:
            newest = weights[:, :, None]
            attention = newest if attention is None else np.concatenate([attention, newest], axis=2)
        if position == longest - 1:
            for row, place in np.ndindex(*live.shape):
                finish(row, place, live[row, place] + log_probs[row, place, EOS], position + 1)
            break
        log_probs = _in_blocks(log_probs)
        log_probs[:, :, forbidden] = -np.inf
        if position + 1 < settings["min_length"]:
            log_probs[:, :, EOS] = -np.inf
        if settings["no_repeat_ngram_size"]:
            _forbid_repeats(log_probs, ids[:, :, 1:], settings["no_repeat_ngram_size"])
        totals, origins, tokens = _best(live, log_probs, 2 * width)
        ends = tokens == EOS
        for row, rank in np.argwhere(ends[:, :width]):
            finish(row, origins[row, rank], totals[row, rank], position + 1)
        order = np.argsort(ends, axis=1, kind="stable")[:, :width]  # those that do not end, best first
        rows = np.arange(len(sentences))[:, None]
        parents, newest_ids = origins[rows, order], tokens[rows, order]
        live = np.where(ends[rows, order], -np.inf, totals[rows, order])
        ids = np.concatenate([ids[rows, parents], newest_ids[:, :, None]], axis=2)
        if attention is not None:
            attention = attention[rows, parents]
        kept = np.flatnonzero(live.max(axis=1) / penalty(longest, weight) > best_scores[sentences])
        if not len(kept):
            break
        if len(kept) < len(sentences):
            network.keep(kept)
            sentences, live, ids, parents = sentences[kept], live[kept], ids[kept], parents[kept]
            attention = None if attention is None else attention[kept]
    return best


def penalty(length: int, weight: float) -> float:
    """Return ((5 + length) / 6) ^ weight (Wu et al., 2016)."""
    return ((5.0 + length) / 6.0) ** weight


def token_log_probs(network: Any, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]],
                    width: int = 1) -> list[np.ndarray]:
    """Return the log-probability of each token of given targets; `width`: the width of the network's steps."""
    network.start(sources)
    found: list[list[float]] = [[] for _ in targets]
    ids = np.full((len(targets), width), BOS, np.int64)
    parents = np.broadcast_to(np.arange(width), ids.shape)
    for position in range(max(map(len, targets))):
        log_probs, _ = network.step(ids, parents, position)
        for row, target in enumerate(targets):
            if position < len(target):
                found[row].append(float(log_probs[row, 0, target[position]]))
        ids = np.array([[target[min(position, len(target) - 1)]] * width for target in targets], np.int64)
    return [np.array(row) for row in found]


def _in_blocks(log_probs: np.ndarray) -> np.ndarray:
    """Return a copy, padded with -inf to whole blocks of tokens."""
    padding = -log_probs.shape[2] % _BLOCK
    return np.pad(log_probs, ((0, 0), (0, 0), (0, padding)), constant_values=-np.inf)


def _best(live: np.ndarray, log_probs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-probability, hypothesis and token of the best continuations, each [sentences, count].

    The best tokens are in the blocks with the largest maxima, so that most tokens need not be sorted.
    """
    batch, width, size = log_probs.shape
    blocks = log_probs.reshape(batch, width, -1, _BLOCK)
    best_blocks = np.sort(_largest(blocks.max(axis=3), min(count, blocks.shape[2])), axis=2)
    some = np.take_along_axis(blocks, best_blocks[..., None], 2).reshape(batch, width, -1)
    places = np.sort(_largest(some, min(count, some.shape[2])), axis=2)
    tokens = np.take_along_axis(best_blocks, places // _BLOCK, 2) * _BLOCK + places % _BLOCK
    totals = (live[:, :, None] + np.take_along_axis(some, places, 2)).reshape(batch, -1)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :count]
    rows = np.arange(batch)[:, None]
    return totals[rows, order], order // places.shape[2], tokens.reshape(batch, -1)[rows, order]


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` largest values of the last axis, in no order."""
    return np.argpartition(-values, count - 1, axis=-1)[..., :count]


def _forbid_repeats(log_probs: np.ndarray, ids: np.ndarray, size: int) -> None:
    """Set to -inf what would repeat an n-gram of `size` tokens; `</s>` is never forbidden."""
    for sentence, place in np.ndindex(*ids.shape[:2]):
        tokens = ids[sentence, place].tolist()
        latest = tokens[len(tokens) - size + 1 :]
        for first in range(len(tokens) - size + 1):
            if tokens[first : first + size - 1] == latest and tokens[first + size - 1] != EOS:
                log_probs[sentence, place, tokens[first + size - 1]] = -np.inf
