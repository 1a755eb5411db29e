# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Predictions of an exported model for lines of raw text, with MindSpore: `python generate.py < text`.

encoder.mindir    source_ids -> keys and values of the cross-attention, and which source tokens are attended to
decoder.mindir    one step of the decoder; its caches are inputs and outputs

All shapes are fixed; smaller batches and shorter sentences are padded.
"""
import os
from collections.abc import Sequence

import mindspore
import numpy as np
from mass_model import MassModel, run
from mass_search import token_log_probs
from mass_text import EOS, read_settings
from mindspore import Tensor, nn

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Network:
    """The network; see mass_search.py."""

    def __init__(self, folder: str):
        settings = read_settings(folder)
        self._shape = (settings["batch_size"], settings["source_length"])
        self._cache = Tensor(np.zeros(settings["cache_shape"], np.float32))
        self._encoder, self._decoder = (nn.GraphCell(mindspore.load(os.path.join(folder, name)))
                                        for name in ("encoder.mindir", "decoder.mindir"))

    def start(self, sources: Sequence[Sequence[int]]) -> None:
        """Encode sentences."""
        ids = np.zeros(self._shape, np.int32)
        ids[:, 0] = EOS  # rows without a sentence must attend to something as well
        for row, source in zip(ids, sources, strict=False):
            row[: len(source)] = source
        self._source = self._encoder(Tensor(ids))
        self._caches = (self._cache, self._cache)
        self._rows = np.arange(len(sources))  # of the sentences that are continued, in the batch of the graphs

    def step(self, ids: np.ndarray, parents: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Run one step."""
        width = ids.shape[1]
        all_ids = np.zeros((self._shape[0], width), np.int32)
        all_ids[self._rows] = ids
        all_parents = np.arange(self._shape[0] * width, dtype=np.int32).reshape(-1, width)
        all_parents[self._rows] = self._rows[:, None] * width + parents
        log_probs, attention, *self._caches = self._decoder(
            Tensor(all_ids), Tensor(np.array([position], np.int32)), Tensor(all_parents.reshape(-1)), *self._caches,
            *self._source)
        return log_probs.asnumpy()[self._rows], attention.asnumpy()[self._rows]

    def keep(self, sentences: np.ndarray) -> None:
        """Continue with these sentences; the others are computed as well, and not returned."""
        self._rows = self._rows[sentences]


class MindSporeModel(MassModel):
    """A model whose graphs have a fixed batch and beam."""

    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probability of each token of given targets, which end with `</s>`."""
        found: list[np.ndarray] = []
        for first in range(0, len(sources), self.settings["batch_size"]):
            part = slice(first, first + self.settings["batch_size"])
            found += token_log_probs(self.network, sources[part], targets[part], self.settings["beam_width"])
        return found


def load(folder: str = FOLDER) -> MassModel:
    """Return the model of an exported folder."""
    if "MASS_DEVICE" in os.environ:
        mindspore.set_device(os.environ["MASS_DEVICE"])
    return MindSporeModel(folder, Network(folder))


if __name__ == "__main__":
    run(load())
