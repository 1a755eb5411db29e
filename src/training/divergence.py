"""The error that reports diverged training: at which step, with which settings, and on which sentences."""
import os
from collections.abc import Sequence

import numpy as np

from src.common.errors import MassError
from src.common.files import atomic_output
from src.dataset.batching.batch import Batch
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import EOS_INDEX, PAD_INDEX, Dictionary

MAX_LINES = 40  # sentences in the message; a file holds all of them


def divergence_error(step: int, loss: float, norm: float, learning_rate: float, loss_scale: float,
                     batches: Sequence[Batch], vocabulary: Dictionary, folder: str, rank: int) -> MassError:
    """Return the error for a step whose loss or gradients are not finite.

    Its message shows the sentences of the step's batches on this rank; if they are many, a file in `folder` has them.
    """
    lines = [line for batch in batches for line in batch_text(batch, vocabulary)]
    message = (f"step {step}: the loss is {loss}, the norm of its gradients {norm}, at learning rate "
               f"{learning_rate:.6g} and loss scale {loss_scale:g}: training has diverged. Lower learn_rate_config.lr, "
               f"lengthen warmup_steps or set clip_norm, and start a new run from an earlier checkpoint "
               f"(checkpoint_options.existed_ckpt); if it always happens at this step, examine the sentences of this "
               f"batch")
    if len(lines) > MAX_LINES:
        path = os.path.join(folder, f"diverged-{step}-rank{rank}.txt")
        with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.writelines(line + "\n" for line in lines)
        message += f" ({len(lines)} lines, all in {path})"
    return MassError("\n    ".join([message + ":", *lines[:MAX_LINES]]))


def batch_text(batch: Batch, vocabulary: Dictionary) -> list[str]:
    """Return a line for each row of a batch: the source as it was masked, and the target."""
    return [f"{row_text(source, vocabulary)}  ->  {row_text(labels, vocabulary)}"
            for source, labels in zip(batch.source_ids, batch.labels, strict=True) if source.any() or labels.any()]


def row_text(ids: np.ndarray, vocabulary: Dictionary) -> str:
    """Return the words of a row, with BPE joined; a row may hold several sentences, each of which ends with `</s>`."""
    ends = np.flatnonzero(ids == EOS_INDEX) + 1
    sentences = [part[(part != PAD_INDEX) & (part != EOS_INDEX)] for part in np.split(ids, ends)]
    return " | ".join(join_subwords([vocabulary[int(i)] for i in part]) for part in sentences if len(part))
