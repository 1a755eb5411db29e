"""Answers drawn at random, symbol by symbol, from the network's distribution or its more probable part."""
import hashlib

import numpy as np

from src.common.counter_random import ExampleRandom, random_key
from src.transformer.decoding.constraints import apply_constraints, constraints_of
from src.transformer.decoding.hypotheses import FinishedHypotheses, Hypothesis, LiveHypotheses
from src.transformer.decoding.options import Sampling, SearchOptions
from src.transformer.decoding.step import Step
from src.utils.dictionary import EOS_INDEX


def at_temperature(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """log p / temperature, not normalized."""
    return log_probs / temperature


def keep_top_k(log_probs: np.ndarray, count: int) -> np.ndarray:
    """-inf at all but the `count` largest of the last axis (Fan et al., 2018); those equal to the last one stay."""
    if count >= log_probs.shape[-1]:
        return log_probs
    least = np.partition(log_probs, -count, axis=-1)[..., -count, None]
    return np.where(log_probs < least, -np.inf, log_probs)


def keep_top_p(log_probs: np.ndarray, mass: float) -> np.ndarray:
    """-inf at all but the largest of the last axis whose probabilities, normalized, reach `mass`.

    (Holtzman et al., 2020: the nucleus.) It is the fewest that do; those equal to the last one stay.
    """
    falling = -np.sort(-log_probs, axis=-1)
    cumulative = np.cumsum(_proportional(falling), axis=-1)
    last = np.argmax(cumulative >= mass * cumulative[..., -1:], axis=-1)  # the first place where it is reached
    least = np.take_along_axis(falling, last[..., None], axis=-1)
    return np.where(log_probs < least, -np.inf, log_probs)


def narrowed(log_probs: np.ndarray, sampling: Sampling) -> np.ndarray:
    """What is drawn from, as log-probabilities that are not normalized: temperature, then top-k, then top-p."""
    log_probs = at_temperature(log_probs, sampling.temperature)
    if sampling.top_k:
        log_probs = keep_top_k(log_probs, sampling.top_k)
    return keep_top_p(log_probs, sampling.top_p) if sampling.top_p < 1.0 else log_probs


def draw(log_probs: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """[...] indices drawn by the distributions proportional to exp(log_probs) [..., candidates].

    `uniform` [...] in [0, 1) is looked up in the cumulative distribution. Nothing of probability 0 is drawn.
    """
    cumulative = np.cumsum(_proportional(log_probs), axis=-1)
    chosen = (cumulative <= uniform[..., None] * cumulative[..., -1:]).sum(axis=-1)
    return np.minimum(chosen, np.argmax(cumulative, axis=-1))  # the last that adds anything, should u * sum round up


def sentence_keys(source_ids: np.ndarray) -> np.ndarray:
    """[batch] uint64 that identify sentences by what they hold: ids [batch, source_len], 0 at padding."""
    digests = [hashlib.blake2b(np.ascontiguousarray(ids[ids != 0], "<i4").tobytes(), digest_size=8).digest()
               for ids in source_ids]
    return np.frombuffer(b"".join(digests), "<u8")


def sample(step: Step, keys: np.ndarray, options: SearchOptions) -> list[list[Hypothesis]]:
    """`n_best` answers to each sentence, drawn independently of one another; best score first.

    A symbol is drawn from what the constraints and options.sampling leave. Log-probabilities and scores are the
    network's all the same, at temperature 1 over all symbols. Answers that have not ended by max_length - 1 symbols are
    closed with </s>.

    Args:
        keys: [batch] uint64, from which (and options.sampling.seed) the random numbers of each sentence follow.
    """
    batch, samples, constraints = len(keys), options.n_best, constraints_of(options)
    finished = FinishedHypotheses(batch, samples)
    live = LiveHypotheses(batch, samples, options.max_length, samples)
    places = np.arange(samples)
    uniform = ExampleRandom(random_key(options.sampling.seed), keys)
    for position in range(options.max_length):
        result = step(position, live.sentences, live.last_ids, live.ancestors)
        live.remember_attention(result.attention, batch)
        if position == options.max_length - 1:
            live.close(finished, live.log_probs + result.eos_log_probs, options.length_penalty_weight)
            break
        allowed = apply_constraints(constraints, live.ids, result)
        chosen = draw(narrowed(allowed.log_probs.astype(np.float64), options.sampling),
                      uniform.random((batch, samples))[live.sentences])[..., None]
        log_probs = live.log_probs + np.take_along_axis(allowed.log_probs, chosen, axis=-1)[..., 0]
        symbols = np.take_along_axis(allowed.ids, chosen, axis=-1)[..., 0]
        ends = symbols == EOS_INDEX
        live.close(finished, np.where(ends, log_probs, -np.inf), options.length_penalty_weight)
        live.advance(np.broadcast_to(places, ends.shape), symbols, np.where(ends, -np.inf, log_probs))
        live.keep((live.log_probs > -np.inf).any(axis=1))
        if not len(live.sentences):
            break
    return finished.kept


def _proportional(log_probs: np.ndarray) -> np.ndarray:
    """exp(log_probs), scaled so that the largest of the last axis is 1; 0 where all are -inf."""
    largest = log_probs.max(axis=-1, keepdims=True)
    return np.exp(log_probs - np.where(largest > -np.inf, largest, 0.0))
