"""Sampling: predictions drawn at random from the network's distribution, token by token."""
import hashlib

import numpy as np

from src.common.counter_random import ExampleRandom, random_key
from src.transformer.decoding.constraints import apply_constraints, constraints_of
from src.transformer.decoding.hypotheses import FinishedHypotheses, Hypothesis, LiveHypotheses
from src.transformer.decoding.interface import StepFunction
from src.transformer.decoding.options import Sampling, SearchOptions
from src.utils.dictionary import EOS_INDEX


def at_temperature(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return log_probs / temperature, which is not normalized."""
    return log_probs / temperature


def keep_top_k(log_probs: np.ndarray, count: int) -> np.ndarray:
    """Set all but the `count` largest of the last axis to -inf (Fan et al., 2018).

    Values that equal the smallest of the largest are kept as well.
    """
    if count >= log_probs.shape[-1]:
        return log_probs
    smallest = np.partition(log_probs, -count, axis=-1)[..., -count, None]
    return np.where(log_probs < smallest, -np.inf, log_probs)


def keep_top_p(log_probs: np.ndarray, mass: float) -> np.ndarray:
    """Set all but the nucleus of the last axis to -inf (Holtzman et al., 2020).

    The nucleus is the smallest set of largest values whose probabilities, normalized, sum to at least `mass`. Values
    that equal the smallest of the set are kept as well.
    """
    descending = -np.sort(-log_probs, axis=-1)
    cumulative = np.cumsum(_proportional(descending), axis=-1)
    last = np.argmax(cumulative >= mass * cumulative[..., -1:], axis=-1)  # the first index at which it is reached
    smallest = np.take_along_axis(descending, last[..., None], axis=-1)
    return np.where(log_probs < smallest, -np.inf, log_probs)


def sampling_log_probs(log_probs: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return the distribution that is drawn from, as log-probabilities that are not normalized.

    Temperature is applied first, then top-k, then top-p.
    """
    log_probs = at_temperature(log_probs, sampling.temperature)
    if sampling.top_k:
        log_probs = keep_top_k(log_probs, sampling.top_k)
    return keep_top_p(log_probs, sampling.top_p) if sampling.top_p < 1.0 else log_probs


def draw(log_probs: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw indices [...] from the distributions proportional to exp(log_probs) [..., candidates].

    `uniform` [...] in [0, 1) is looked up in the cumulative distribution. Indices of probability 0 are never drawn.
    """
    cumulative = np.cumsum(_proportional(log_probs), axis=-1)
    drawn = (cumulative <= uniform[..., None] * cumulative[..., -1:]).sum(axis=-1)
    return np.minimum(drawn, np.argmax(cumulative, axis=-1))  # the last of positive probability, if u * sum rounds up


def sentence_keys(source_ids: np.ndarray) -> np.ndarray:
    """Return keys [batch] uint64 that depend only on the tokens of each sentence.

    source_ids are [batch, source_len], 0 at padding.
    """
    digests = [hashlib.blake2b(np.ascontiguousarray(ids[ids != 0], "<i4").tobytes(), digest_size=8).digest()
               for ids in source_ids]
    return np.frombuffer(b"".join(digests), "<u8")


def sample(step: StepFunction, keys: np.ndarray, options: SearchOptions) -> list[list[Hypothesis]]:
    """Draw `n_best` predictions for each sentence, independently of each other, and return them by descending score.

    Tokens are drawn from the distribution that the constraints and options.sampling leave. Log-probabilities and scores
    are nevertheless those of the network: at temperature 1 over the whole vocabulary. Hypotheses that have not ended
    after max_length - 1 tokens are finished with </s>.

    Args:
        step: the network.
        keys: [batch] uint64, the keys of the sentences, which determine their random numbers together with
            options.sampling.seed.
    """
    batch, samples, constraints = len(keys), options.n_best, constraints_of(options)
    finished = FinishedHypotheses(batch, samples)
    live = LiveHypotheses(batch, samples, options.max_length, samples)
    places = np.arange(samples)
    uniform = ExampleRandom(random_key(options.sampling.seed), keys)
    for position in range(options.max_length):
        result = step(position, live.sentences, live.last_ids, live.ancestors)
        live.record_attention(result.attention)
        if position == options.max_length - 1:
            live.finish(finished, live.log_probs + result.eos_log_probs, options.length_penalty_weight)
            break
        allowed = apply_constraints(constraints, live.ids, result)
        drawn = draw(sampling_log_probs(allowed.log_probs.astype(np.float64), options.sampling),
                     uniform.random((batch, samples))[live.sentences])[..., None]
        log_probs = live.log_probs + np.take_along_axis(allowed.log_probs, drawn, axis=-1)[..., 0]
        tokens = np.take_along_axis(allowed.ids, drawn, axis=-1)[..., 0]
        ends = tokens == EOS_INDEX
        live.finish(finished, np.where(ends, log_probs, -np.inf), options.length_penalty_weight)
        live.advance(np.broadcast_to(places, ends.shape), tokens, np.where(ends, -np.inf, log_probs))
        live.keep((live.log_probs > -np.inf).any(axis=1))
        if not len(live.sentences):
            break
    return finished.best


def _proportional(log_probs: np.ndarray) -> np.ndarray:
    """Return exp(log_probs), scaled so that the largest of the last axis is 1; 0 where all are -inf."""
    largest = log_probs.max(axis=-1, keepdims=True)
    return np.exp(log_probs - np.where(largest > -np.inf, largest, 0.0))
