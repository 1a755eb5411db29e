"""Predictions for a batch of sentences or a whole data set."""
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np

from src.common.errors import MassError
from src.common.progress import Progress
from src.dataset.batching.source import BatchSource
from src.runtime.device import restore_interrupts
from src.transformer.beam_search import beam_search
from src.transformer.decoding.hypotheses import Hypothesis
from src.transformer.decoding.sampling import sample, sentence_keys
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.dictionary import EOS_INDEX

EMPTY = Hypothesis((EOS_INDEX,), 0.0, 0.0)
"""The prediction for an empty source, which the network is not asked for: no words, with certainty."""


def generate_batch(infer: TransformerForInfer, source_ids: np.ndarray, source_positions: np.ndarray,
                   source_segments: np.ndarray, source_mask: np.ndarray) -> list[list[Hypothesis]]:
    """Return the n best hypotheses of each sentence of a batch, best first, by the options of `infer`.

    Args:
        source_ids, source_positions, source_segments, source_mask: [sentences, source_len] int32 as in Batch, with one
            sentence in a row and at most infer.batch rows.

    Raises:
        MassError: the constraints forbid every prediction of a sentence, or outputs of the network are not finite.
    """
    infer.start(source_ids, source_positions, source_segments, source_mask)
    if infer.options.sampling:
        found = sample(infer.step, sentence_keys(source_ids), infer.options)
    else:
        found = beam_search(infer.step, len(source_ids), infer.options)
    if not all(found):
        raise MassError(f"a sentence has no prediction of at least {infer.options.min_length} tokens that the "
                        f"constraints allow: lower model_config.min_decode_length or raise no_repeat_ngram_size")
    return found


def generate(infer: TransformerForInfer, source: BatchSource, quiet: bool = False,
             shown: Progress | None = None, abandon: Callable[[], bool] = lambda: False
             ) -> list[list[Hypothesis]] | None:
    """Return the n best hypotheses of each example, in the order of the records; none for examples of other ranks.

    An empty source, which is `</s>` alone, has the empty prediction, as an empty line of text has.
    The source must have one example in a row (dataset_config.pack_sentences off). If the network has been trained since
    `infer` was made, call `infer.refresh()` first. Errors are those of generate_batch.

    Args:
        quiet: show no progress.
        shown: the progress of a larger operation that this one is a part of, to be updated instead.
        abandon: called before each batch; once it returns True, this function stops and returns None.
    """
    predictions: list[list[Hypothesis]] = [[] for _ in range(len(source))]
    with nullcontext(shown) if shown else Progress("search", len(source), "sentences", quiet) as progress:
        for indices, batch in source.in_order():
            if abandon():
                return None
            present = indices >= 0
            words = present & (np.count_nonzero(batch.source_ids, axis=1) > 1)
            sources = (batch.source_ids, batch.source_positions, batch.source_segments, batch.source_mask)
            found = generate_batch(infer, *(array[words] for array in sources)) if words.any() else []
            for index in indices[present & ~words]:
                predictions[index] = [EMPTY]
            for index, hypotheses in zip(indices[words], found, strict=True):
                predictions[index] = hypotheses
            progress.update(int(np.count_nonzero(present)))
            restore_interrupts()
    return predictions
