"""Distributions of token sequences in place of a network, for tests of the search alone."""
import numpy as np

from src.transformer.decoding.constraints import NEVER_PREDICTED
from src.transformer.decoding.interface import StepResult
from src.utils.dictionary import BOS_INDEX, EOS_INDEX

VOCAB = 7  # <unk> and two ordinary tokens may be predicted besides </s>
TOKENS = [token for token in range(VOCAB) if token not in (*NEVER_PREDICTED, EOS_INDEX)]


class ToyLanguage:
    """Random log-probabilities of the next token that depend on the whole prefix."""

    def __init__(self, seed: int, eos_bonus: float = 0.0, spread: float = 1.5):
        self.seed, self.eos_bonus, self.spread = seed, eos_bonus, spread

    def next(self, prefix: tuple[int, ...]) -> np.ndarray:
        """Return log-probabilities [VOCAB] of the next token; as in a network, <pad>, <s> and <mask> have some, too."""
        logits = self.spread * np.random.default_rng([self.seed, *prefix]).normal(size=VOCAB)
        logits[EOS_INDEX] += self.eos_bonus
        return logits - np.log(np.exp(logits).sum())

    def log_prob(self, ids: tuple[int, ...]) -> float:
        """Return the log-probability of a whole sequence."""
        return sum(self.next(ids[:i])[token] for i, token in enumerate(ids))


class ToyStep:
    """A batch of languages as the search's `step`. Like a cache, it knows a prefix only from the tokens it was given.

    It returns the `candidates` most probable tokens. In place of attention weights it returns the distribution of the
    next token, which is different for each prefix.
    """

    def __init__(self, languages: list[ToyLanguage], candidates: int = VOCAB, attention: bool = False):
        self.languages, self.candidates, self.attention = languages, candidates, attention
        self.given: list[dict[int, np.ndarray]] = []  # for each position, the tokens [beam_width] of each sentence

    def __call__(self, position: int, sentences: np.ndarray, last_ids: np.ndarray,
                 ancestors: np.ndarray) -> StepResult:
        assert position == len(self.given) and ancestors.shape == (*last_ids.shape, position + 1)
        assert last_ids.dtype == ancestors.dtype == np.int32
        self.given.append({int(sentence): ids.copy() for sentence, ids in zip(sentences, last_ids, strict=True)})
        log_probs = np.empty((*last_ids.shape, VOCAB))
        for row, beam in np.ndindex(last_ids.shape):
            ids = [int(given[int(sentences[row])][ancestor])
                   for given, ancestor in zip(self.given, ancestors[row, beam], strict=True)]
            assert ids[0] == BOS_INDEX
            log_probs[row, beam] = self.languages[sentences[row]].next(tuple(ids[1:]))
        order = np.argsort(-log_probs, axis=-1)[..., : self.candidates]
        return StepResult(np.take_along_axis(log_probs, order, axis=-1), order.astype(np.int32),
                          log_probs[..., EOS_INDEX], np.exp(log_probs) if self.attention else None)

    def steps_of(self, sentence: int) -> int:
        """Return the number of steps that were run for a sentence."""
        return sum(sentence in given for given in self.given)
