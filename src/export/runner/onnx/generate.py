# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Predictions of an exported model for lines of raw text, with onnxruntime: `python generate.py < text`.

encoder.onnx    source_ids -> keys and values of the cross-attention, and which source tokens are attended to
decoder.onnx    one step of the decoder; its caches are inputs and outputs
"""
import os
from collections.abc import Sequence

import numpy as np
import onnxruntime
from mass_model import MassModel, run

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Network:
    """The network; see mass_search.py."""

    def __init__(self, folder: str):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(os.path.join(folder, name), options, ["CPUExecutionProvider"])
            for name in ("encoder.onnx", "decoder.onnx"))

    def start(self, sources: Sequence[Sequence[int]]) -> None:
        """Encode sentences."""
        ids = np.zeros((len(sources), max(map(len, sources))), np.int64)
        for row, source in zip(ids, sources, strict=True):
            row[: len(source)] = source
        keys, values, bias = self._encoder.run(None, {"source_ids": ids})
        self._source = {"cross_keys": keys, "cross_values": values, "source_bias": bias}
        self._caches = None
        self._kept = np.arange(len(sources))

    def step(self, ids: np.ndarray, parents: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Run one step."""
        sentences, width = ids.shape
        if self._caches is None:
            layers, _, heads, _, size = self._source["cross_keys"].shape
            self._caches = [np.zeros((layers, sentences * width, heads, 0, size), np.float32)] * 2
        rows = (self._kept[:, None] * width + parents).reshape(-1)
        self._kept = np.arange(sentences)
        log_probs, attention, *self._caches = self._decoder.run(None, {
            "ids": ids, "position": np.array([position]), "parents": rows, "keys": self._caches[0],
            "values": self._caches[1], **self._source})
        return log_probs, attention

    def keep(self, sentences: np.ndarray) -> None:
        """Continue with these sentences; the decoder takes their rows from the caches in the next step."""
        self._kept = self._kept[sentences]
        self._source = {"cross_keys": self._source["cross_keys"][:, sentences],
                        "cross_values": self._source["cross_values"][:, sentences],
                        "source_bias": self._source["source_bias"][sentences]}


def load(folder: str = FOLDER) -> MassModel:
    """Return the model of an exported folder."""
    return MassModel(folder, Network(folder))


if __name__ == "__main__":
    run(load())
