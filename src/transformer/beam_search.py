"""Beam search over log-probabilities, on numpy arrays; `step` is the network."""
import numpy as np

from src.transformer.decoding.constraints import apply_constraints, constraints_of
from src.transformer.decoding.hypotheses import FinishedHypotheses, Hypothesis, LiveHypotheses, length_penalty
from src.transformer.decoding.interface import StepFunction, StepResult
from src.transformer.decoding.options import SearchOptions
from src.utils.dictionary import EOS_INDEX


def rank_candidates(live_log_probs: np.ndarray, result: StepResult, count: int) -> tuple[np.ndarray, ...]:
    """Return the `count` best continuations of each sentence over all its beams, by descending log-probability.

    Args:
        live_log_probs: [sentences, beam_width], of the hypotheses.
        result: their candidates.

    Returns:
        (log_probs, parents, tokens), each [sentences, count]: log-probabilities of the continuations, places of the
        hypotheses that they continue, and their new tokens.
    """
    sentences, beam_width, candidates = result.ids.shape
    totals = (live_log_probs[..., None] + result.log_probs).reshape(sentences, beam_width * candidates)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :count]
    rows = np.arange(sentences)[:, None]
    return totals[rows, order], order // candidates, result.ids.reshape(sentences, -1)[rows, order]


def beam_search(step: StepFunction, batch: int, options: SearchOptions) -> list[list[Hypothesis]]:
    """Return the `n_best` best finished hypotheses of each sentence of a batch, best first.

    In each step, the 2 * beam_width best continuations that the constraints allow are ranked. Those that end in </s>
    among the first beam_width are finished; the best beam_width others are continued. The search of a sentence stops
    when no live hypothesis can enter its n best: log-probabilities only decrease, so a hypothesis of log-probability s
    can reach a score of at most s / length_penalty(max_length). `step` is no longer given such sentences. After
    max_length - 1 tokens all live hypotheses are finished with </s>.

    A beam of 1 is greedy decoding if the weight of the length penalty is 0. With a positive weight, the search
    continues after </s> while a longer hypothesis may have a better score. Fewer than n_best hypotheses may be returned
    if n_best exceeds beam_width, and none if the constraints forbid all continuations.
    """
    beam_width, weight, max_length = options.beam_width, options.length_penalty_weight, options.max_length
    constraints = constraints_of(options)
    finished = FinishedHypotheses(batch, options.n_best)
    live = LiveHypotheses(batch, beam_width, max_length, first=1)
    for position in range(max_length):
        result = step(position, live.sentences, live.last_ids, live.ancestors)
        live.record_attention(result.attention)
        if position == max_length - 1:
            live.finish(finished, live.log_probs + result.eos_log_probs, weight)
            break
        allowed = apply_constraints(constraints, live.ids, result)
        log_probs, parents, tokens = rank_candidates(live.log_probs, allowed, 2 * beam_width)
        ends = tokens == EOS_INDEX
        if ends[:, :beam_width].any():
            live.finish(finished, _at_parents(log_probs, parents, ends[:, :beam_width]), weight)
        live.advance(*_best_unfinished(log_probs, parents, tokens, ends, beam_width))
        bounds = live.log_probs.max(axis=1) / length_penalty(max_length, weight)
        live.keep(~finished.cannot_improve(live.sentences, bounds))
        if not len(live.sentences):
            break
    return finished.best


def _best_unfinished(log_probs: np.ndarray, parents: np.ndarray, tokens: np.ndarray, ends: np.ndarray,
                     beam_width: int) -> tuple[np.ndarray, ...]:
    """Return the first beam_width continuations that do not end: (parents, tokens, log_probs).

    Arguments are [sentences, 2 * beam_width], results [sentences, beam_width].
    """
    order = np.argsort(ends, axis=1, kind="stable")[:, :beam_width]
    rows = np.arange(len(order))[:, None]
    return parents[rows, order], tokens[rows, order], np.where(ends[rows, order], -np.inf, log_probs[rows, order])


def _at_parents(log_probs: np.ndarray, parents: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the log-probability of each hypothesis with </s> appended, -inf where it does not end.

    `ends` and the result are [sentences, beam_width], the others [sentences, 2 * beam_width].
    """
    beam_width = ends.shape[1]
    at_parents = np.full((len(parents), beam_width), -np.inf)
    rows, columns = np.nonzero(ends)
    at_parents[rows, parents[rows, columns]] = log_probs[rows, columns]
    return at_parents
