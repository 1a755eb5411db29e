# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Predictions of an exported model for lines of raw text, with CTranslate2: `python generate.py < text`.

CTranslate2 searches without a length penalty and returns several predictions for each sentence. Their log-probabilities
are computed a second time, because the search leaves forbidden tokens out of its softmax, and the one with the best
score by our length penalty is the prediction.
"""
import os
from collections.abc import Sequence

import ctranslate2
import numpy as np
from mass_model import MassModel, run
from mass_search import Found, penalty
from mass_text import BOS, EOS, MASK, PAD, UNK

FOLDER = os.path.dirname(os.path.abspath(__file__))


class CTranslate2Model(MassModel):
    """A model that CTranslate2 searches with."""

    def __init__(self, folder: str):
        super().__init__(folder)
        self.translator = ctranslate2.Translator(folder, compute_type=self.settings["compute_type"])
        self._numbers = {token: number for number, token in enumerate(self.text.tokens)}

    def search(self, sources: Sequence[Sequence[int]]) -> list[Found | None]:
        """Return the best predictions for one batch of sources."""
        settings, tokens = self.settings, self._tokens_of(sources)
        width = settings["beam_width"]
        forbidden = [PAD, BOS, MASK, *[UNK] * settings["ban_unk"]]
        if settings["max_length"] == 1:
            candidates = [[[]] for _ in sources]
        else:
            results = self.translator.translate_batch(
                tokens, beam_size=width, patience=settings["patience"], length_penalty=0.0,
                num_hypotheses=round(width * settings["patience"]), max_input_length=0,
                max_decoding_length=settings["max_length"] - 1, min_decoding_length=settings["min_length"] - 1,
                no_repeat_ngram_size=settings["no_repeat_ngram_size"], disable_unk=settings["ban_unk"],
                suppress_sequences=[[self.text.tokens[number]] for number in forbidden])
            candidates = [result.hypotheses for result in results]
        flat = [hypothesis for hypotheses in candidates for hypothesis in hypotheses]
        repeated = [source for source, hypotheses in zip(tokens, candidates, strict=True) for _ in hypotheses]
        scored = iter(self._score(repeated, flat))
        return [self._best(hypotheses, [next(scored) for _ in hypotheses], source)
                for hypotheses, source in zip(candidates, tokens, strict=True)]

    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probability of each token of given targets, which end with `</s>`, for one batch."""
        found = self._score(self._tokens_of(sources), self._tokens_of([target[:-1] for target in targets]))
        return [np.array(row) for row in found]

    def _score(self, sources: list[list[str]], targets: list[list[str]]) -> list[list[float]]:
        return [result.log_probs for result in self.translator.score_batch(sources, targets, max_input_length=0)]

    def _best(self, hypotheses: list[list[str]], log_probs: list[list[float]], source: list[str]) -> Found | None:
        totals = [sum(row) for row in log_probs]
        scores = [total / penalty(len(row), self.settings["length_penalty"])
                  for total, row in zip(totals, log_probs, strict=True)]
        best = max(range(len(scores)), key=scores.__getitem__)
        ids = [*(self._numbers[token] for token in hypotheses[best]), EOS]
        return Found(ids, totals[best], scores[best], self._attention(source, hypotheses[best], ids))

    def _attention(self, source: list[str], target: list[str], ids: list[int]) -> np.ndarray | None:
        if not self.settings["copy_unk"] or UNK not in ids:
            return None
        result = self.translator.translate_batch([source], [target], beam_size=1, max_input_length=0,
                                                 max_decoding_length=len(ids), return_attention=True)[0]
        return np.array(result.attention[0])

    def _tokens_of(self, sequences: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[self.text.tokens[number] for number in ids] for ids in sequences]


def load(folder: str = FOLDER) -> MassModel:
    """Return the model of an exported folder."""
    return CTranslate2Model(folder)


if __name__ == "__main__":
    run(load())
