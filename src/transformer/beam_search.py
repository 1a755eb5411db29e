"""Beam search over log-probabilities, on numpy arrays; the network is behind one `step` function."""
import numpy as np

from src.transformer.decoding.constraints import apply_constraints, constraints_of
from src.transformer.decoding.hypotheses import FinishedHypotheses, Hypothesis, LiveHypotheses, length_penalty
from src.transformer.decoding.options import SearchOptions
from src.transformer.decoding.step import Step, StepResult
from src.utils.dictionary import EOS_INDEX


def rank_candidates(live_log_probs: np.ndarray, result: StepResult, count: int) -> tuple[np.ndarray, ...]:
    """The `count` best continuations over all beams, falling: log_probs, parents, symbols, each [sentences, count]."""
    sentences, beam_width, candidates = result.ids.shape
    totals = (live_log_probs[..., None] + result.log_probs).reshape(sentences, beam_width * candidates)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :count]
    rows = np.arange(sentences)[:, None]
    return totals[rows, order], order // candidates, result.ids.reshape(sentences, -1)[rows, order]


def beam_search(step: Step, batch: int, options: SearchOptions) -> list[list[Hypothesis]]:
    """The `n_best` best finished hypotheses of each sentence, best first.

    Of the 2 * beam_width best continuations that the constraints allow, those with </s> among the first beam_width are
    finished and the best beam_width others live on. A sentence is done when no live hypothesis can enter its n best any
    more: since log-probabilities only fall, one of log-probability s can reach at most s / length_penalty(max_length).
    Done sentences are no longer given to `step`. After max_length - 1 symbols all live hypotheses are closed with </s>.
    A beam of 1 is greedy decoding if the length penalty's weight is 0; with a positive weight it goes on past a </s> as
    long as a longer answer may score better. No more than beam_width hypotheses are sure to finish, so an n_best beyond
    it may not be filled; and none does where constraints leave nothing to continue with.
    """
    beam_width, weight, max_length = options.beam_width, options.length_penalty_weight, options.max_length
    constraints = constraints_of(options)
    finished = FinishedHypotheses(batch, options.n_best)
    live = LiveHypotheses(batch, beam_width, max_length, first=1)
    for position in range(max_length):
        result = step(position, live.sentences, live.last_ids, live.ancestors)
        live.remember_attention(result.attention, batch)
        if position == max_length - 1:
            live.close(finished, live.log_probs + result.eos_log_probs, weight)
            break
        allowed = apply_constraints(constraints, live.ids, result)
        log_probs, parents, symbols = rank_candidates(live.log_probs, allowed, 2 * beam_width)
        ends = symbols == EOS_INDEX
        if ends[:, :beam_width].any():
            live.close(finished, _at_parents(log_probs, parents, ends[:, :beam_width]), weight)
        live.advance(*_best_unfinished(log_probs, parents, symbols, ends, beam_width))
        bounds = live.log_probs.max(axis=1) / length_penalty(max_length, weight)
        live.keep(~finished.cannot_improve(live.sentences, bounds))
        if not len(live.sentences):
            break
    return finished.kept


def _best_unfinished(log_probs: np.ndarray, parents: np.ndarray, symbols: np.ndarray, ends: np.ndarray,
                     beam_width: int) -> tuple[np.ndarray, ...]:
    """The first beam_width that do not end: (parents, symbols, log_probs), each [sentences, beam_width]."""
    order = np.argsort(ends, axis=1, kind="stable")[:, :beam_width]
    rows = np.arange(len(order))[:, None]
    return parents[rows, order], symbols[rows, order], np.where(ends[rows, order], -np.inf, log_probs[rows, order])


def _at_parents(log_probs: np.ndarray, parents: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """[sentences, beam_width]: log-probability of each beam's hypothesis with </s>, -inf where it does not end."""
    beam_width = ends.shape[1]
    closed = np.full((len(parents), beam_width), -np.inf)
    rows, columns = np.nonzero(ends)
    closed[rows, parents[rows, columns]] = log_probs[rows, columns]
    return closed
