# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""An exported model of MASS on MindSpore: raw sentences in, predictions out; and its command line."""
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from mass_search import Found, beam_search, token_log_probs
from mass_text import UNK, Text, read_settings

Search = Callable[[Sequence[Sequence[int]]], list[Found | None]]


class MassModel:
    """Text processing and search.

    Args:
        folder: the exported folder.
        network: what beam_search searches with; None for subclasses that search by themselves.
    """

    def __init__(self, folder: str, network: Any = None):
        self.settings, self.text = read_settings(folder), Text(folder)
        self.network = network

    def search(self, sources: Sequence[Sequence[int]]) -> list[Found | None]:
        """Return the best predictions for one batch of sources."""
        return beam_search(self.network, sources, self.settings)

    def predict(self, sentences: Sequence[str]) -> list[str]:
        """Return the best prediction for each raw sentence; a sentence without words yields an empty one."""
        subwords = [self.text.subwords(sentence) for sentence in sentences]
        sources = [self.text.ids(tokens) for tokens in subwords]
        found = [""] * len(sentences)
        for places in self._batches(sources):
            for place, best in zip(places, self.search([sources[place] for place in places]), strict=True):
                if best:
                    found[place] = self.text.text(self._tokens(best, subwords[place]))
        return found

    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probability of each token of given targets, which end with `</s>`, for one batch."""
        return token_log_probs(self.network, sources, targets)

    def _batches(self, sources: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yield batches of sources of similar lengths, without those that have no words."""
        order = sorted((place for place, ids in enumerate(sources) if len(ids) > 1),
                       key=lambda place: len(sources[place]))
        for first in range(0, len(order), self.settings["batch_size"]):
            yield order[first : first + self.settings["batch_size"]]

    def _tokens(self, found: Found, subwords: Sequence[str]) -> list[str]:
        tokens = [self.text.tokens[number] for number in found.ids[:-1]]
        if found.attention is not None:
            for place in np.flatnonzero(np.array(found.ids[:-1]) == UNK):
                readable = min(len(subwords), self.settings["seq_length"] - 1)
                tokens[place] = _word_at(subwords, int(np.argmax(found.attention[place, :readable])))
        return tokens


def _word_at(tokens: Sequence[str], place: int) -> str:
    """Return the whole word that the subword at `place` is part of."""
    first, last = place, place
    while first > 0 and tokens[first - 1].endswith("@@"):
        first -= 1
    while tokens[last].endswith("@@") and last + 1 < len(tokens):
        last += 1
    return " ".join(tokens[first : last + 1]).removesuffix("@@").replace("@@ ", "")


def run(model: MassModel) -> None:
    """Print the prediction for each line of standard input."""
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n")
    print("\n".join(model.predict([line.removesuffix("\r") for line in lines.split("\n")])))
