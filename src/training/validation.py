"""How good the network is on held-out data: perplexity of all of it, ROUGE of a sample."""
import dataclasses
from collections.abc import Callable

import numpy as np
from mindspore import Tensor, mutable

from config.config import Config
from src.common.ragged import RaggedArray
from src.dataset.batching.assembly import batch_source
from src.dataset.batching.source import BatchSource
from src.dataset.records.record_set import RecordSet
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.examples import examples_of_records
from src.inference.generation import generate
from src.inference.predictions import best_predictions
from src.runtime.distributed import Ranks
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer import NO_DROPOUT_SEED
from src.transformer.transformer_for_infer import TransformerForInfer
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.dictionary import Dictionary
from src.utils.rouge_score import ROUGE_METRICS


def measure_nll(network: TransformerForTrain, source: BatchSource, ranks: Ranks,
                abandon: Callable[[], bool] = lambda: False) -> tuple[float, int] | None:
    """Negative log-likelihood of all examples, summed, and the number of target symbols; masks are always the same.

    None if `abandon` says so between two batches.
    """
    network.set_train(False)
    nll, targets = 0.0, 0
    try:
        for _, batch in source.in_order():
            if abandon():
                return None
            nll += float(network(*mutable(tuple(map(Tensor, batch))), NO_DROPOUT_SEED)[1].asnumpy())
            targets += batch.target_tokens
    finally:
        network.set_train(True)
    nll, targets = ranks.sums([nll, targets])
    return nll, round(targets)


class RougeSample:
    """Some pairs of the validation data that each validation answers by search and scores with ROUGE.

    The same pairs each time, spread evenly over the data. What is compiled for them serves all validations.
    """

    def __init__(self, network: TransformerForTrain, records: RecordSet, config: Config, ranks: Ranks):
        count = min(config.training_config.valid_rouge_sentences, len(records))
        sample = _some(records, count)
        self._vocabulary = Dictionary.load_from_persisted_dict(records.vocabulary_path)
        self._examples = examples_of_records(sample, self._vocabulary)
        data = config.dataset_config
        rows = min(data.eval_batch_size, -(-count // ranks.world_size))
        one_a_row = dataclasses.replace(data, batch_size=rows, max_tokens=0, num_buckets=1, accumulate_batches=1,
                                        pack_sentences=False)
        self._source = batch_source(sample, dataclasses.replace(config, dataset_config=one_a_row), False,
                                    ranks.rank, ranks.world_size)
        self._infer = TransformerForInfer(network.transformer, rows, SearchOptions.from_config(config.model_config))
        self._network, self._ranks = network, ranks

    def measure(self) -> dict[str, float]:
        """F1 in percent, by name."""
        self._network.set_train(False)
        predictions = list(best_predictions(self._examples, generate(self._infer, self._source, quiet=True),
                                            self._vocabulary, self._infer.options.attention))
        self._network.set_train(True)
        own = Rouge().measure(predictions).scores if predictions else dict.fromkeys(ROUGE_METRICS, 0.0)
        *sums, count = self._ranks.sums([*(own[name] * len(predictions) for name in ROUGE_METRICS), len(predictions)])
        return {name: total / count for name, total in zip(ROUGE_METRICS, sums, strict=True)}


def _some(records: RecordSet, count: int) -> RecordSet:
    """`count` examples, spread evenly."""
    chosen = np.linspace(0, len(records) - 1, count).round().astype(int)
    columns = {name: RaggedArray.from_sequences([column[i] for i in chosen])
               for name, column in records.columns.items()}
    return dataclasses.replace(records, info=dataclasses.replace(records.info, kept=count), columns=columns)
