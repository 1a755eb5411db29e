"""The mean of several checkpoints' weights."""
import os
import re
from collections.abc import Sequence

import numpy as np

from src.utils.errors import MassError, UsageError
from src.utils.files import require_folder
from src.utils.load_weights import READERS, Weights, load_weights, save_weights

STEP = re.compile(r"-(\d+)(" + "|".join(map(re.escape, READERS)) + ")$")


def find_checkpoints(folder: str) -> list[str]:
    """The checkpoints `<prefix>-<step>` of a folder by their steps; not `best` and `latest`, which are among them."""
    require_folder(folder, "input folder")
    names = [name for name in os.listdir(folder) if STEP.search(name)]
    if not names:
        raise MassError(f"input folder {folder!r} holds no checkpoint <prefix>-<step> ({', '.join(READERS)})")
    return [os.path.join(folder, name) for name in sorted(names, key=lambda name: int(STEP.search(name)[1]))]


def average_weights(paths: Sequence[str], output: str) -> None:
    """Write the mean of the checkpoints to the `.npz` file `output`.

    Sums in float64, one file at a time in memory. The result keeps the first file's vocabulary and configuration.

    Raises:
        MassError: a file cannot be read, or differs from the first in names, shapes or vocabulary; nothing is written.
    """
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise UsageError("the same checkpoint is given twice")
    first, sums, steps = None, {}, []
    for path in paths:
        weights = load_weights(path)
        steps.append(weights.metadata.get("step"))
        if first is None:
            first = weights
            sums = {name: array.astype(np.float64) for name, array in weights.arrays.items()}
            continue
        _require_alike(first, weights)
        for name, array in weights.arrays.items():
            sums[name] += array
    arrays = {name: (total / len(paths)).astype(first.arrays[name].dtype) for name, total in sums.items()}
    metadata = {**first.metadata, "step": steps, "averaged": [os.path.basename(path) for path in paths]}
    vocabulary = first.metadata.get("vocabulary")
    if vocabulary:  # its file may stand in another folder than the average
        vocabulary_path = os.path.abspath(os.path.join(os.path.dirname(first.path), vocabulary["file"]))
        own_folder = os.path.abspath(os.path.dirname(output))
        metadata["vocabulary"] = {**vocabulary, "file": os.path.relpath(vocabulary_path, own_folder)}
    save_weights(output, arrays, metadata)


def _require_alike(first: Weights, other: Weights) -> None:
    for name in first.arrays.keys() ^ other.arrays.keys():
        holder, lacking = (first, other) if name in first.arrays else (other, first)
        raise MassError(f"{lacking.path!r} lacks {name}, which {holder.path!r} has: they are of different networks")
    for name, array in first.arrays.items():
        if array.shape != other.arrays[name].shape:
            raise MassError(f"{name} has shape {list(array.shape)} in {first.path!r} and "
                            f"{list(other.arrays[name].shape)} in {other.path!r}: they are of different networks")
    fingerprints = [weights.metadata.get("vocabulary", {}).get("fingerprint") for weights in (first, other)]
    if None not in fingerprints and fingerprints[0] != fingerprints[1]:
        raise MassError(f"{first.path!r} and {other.path!r} were trained with different vocabularies "
                        f"({fingerprints[0][:12]} and {fingerprints[1][:12]})")
