"""Languages without a network, for tests of the search by itself."""
import numpy as np

from src.transformer.decoding.constraints import NEVER_ANSWERED
from src.transformer.decoding.step import StepResult
from src.utils.dictionary import BOS_INDEX, EOS_INDEX

VOCAB = 7  # <unk> and two words may be answered beside </s>
WORDS = [symbol for symbol in range(VOCAB) if symbol not in (*NEVER_ANSWERED, EOS_INDEX)]


class ToyLanguage:
    """Random log-probabilities of the next symbol that depend on the whole prefix."""

    def __init__(self, seed: int, eos_bonus: float = 0.0, spread: float = 1.5):
        self.seed, self.eos_bonus, self.spread = seed, eos_bonus, spread

    def next(self, prefix: tuple[int, ...]) -> np.ndarray:
        """[VOCAB] log-probabilities, as a network would give them: <pad>, <s> and <mask> have some as well."""
        logits = self.spread * np.random.default_rng([self.seed, *prefix]).normal(size=VOCAB)
        logits[EOS_INDEX] += self.eos_bonus
        return logits - np.log(np.exp(logits).sum())

    def log_prob(self, ids: tuple[int, ...]) -> float:
        return sum(self.next(ids[:i])[symbol] for i, symbol in enumerate(ids))


class ToyStep:
    """A batch of languages as the search's `step`: knows of each prefix only what was given to it, as a cache does.

    It returns the `candidates` most probable symbols. What it calls attention is the distribution of the next symbol,
    which tells prefixes apart.
    """

    def __init__(self, languages: list[ToyLanguage], candidates: int = VOCAB, attention: bool = False):
        self.languages, self.candidates, self.attention = languages, candidates, attention
        self.given: list[dict[int, np.ndarray]] = []  # for each position, the symbols [beam_width] of each sentence

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
        """How many steps were taken for it."""
        return sum(sentence in given for given in self.given)
