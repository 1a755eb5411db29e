"""Validation during training: the perplexity of all validation data, and ROUGE of a sample of them."""
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, mutable

from config.config import Config
from src.common.ragged import RaggedArray
from src.dataset.batching.source import BatchSource
from src.dataset.records.record_set import RecordSet
from src.inference.evaluation.metrics.rouge import Rouge
from src.inference.examples import examples_of_records
from src.inference.generation import generate
from src.inference.predictions import best_predictions
from src.runtime.distributed import Ranks
from src.training.data import TrainingData
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer
from src.transformer.transformer_for_train import TransformerForTrain
from src.utils.rouge_score import ROUGE_METRICS


def measure_nll(network: TransformerForTrain, source: BatchSource, ranks: Ranks,
                abandon: Callable[[], bool] = lambda: False) -> tuple[float, int] | None:
    """Measure the negative log-likelihood of all examples; the masks of pre-training are the same in each call.

    Args:
        network: set to evaluation mode while this function runs.
        source: this rank's batches.
        abandon: called before each batch; once it returns True, this function stops and returns None.

    Returns:
        The negative log-likelihood, summed over the target tokens of all ranks, and the number of target tokens.
    """
    network.set_train(False)
    nll, targets = 0.0, 0
    try:
        for _, batch in source.in_order():
            if abandon():
                return None
            nll += float(network(*mutable(tuple(map(Tensor, batch))), network.transformer.no_dropout_seed)[1].asnumpy())
            targets += batch.target_tokens
    finally:
        network.set_train(True)
    nll, targets = ranks.sum([nll, targets])
    return nll, round(targets)


class RougeSample:
    """A sample of the validation pairs, for which each validation generates predictions and measures ROUGE.

    The sample is evenly spaced over the data and always the same. Its compiled graphs are reused in each validation.

    Args:
        network: the network in training.
        records: the validation pairs.
        config: training_config.valid_rouge_sentences is the size of the sample.
        ranks: each rank generates the predictions for its share of the sample.
    """

    def __init__(self, network: TransformerForTrain, records: RecordSet, config: Config, ranks: Ranks):
        count = min(config.training_config.valid_rouge_sentences, len(records))
        sample = _sample(records, count)
        self._vocabulary = records.load_vocabulary()
        self._examples = examples_of_records(sample, self._vocabulary)
        data = config.dataset_config
        rows = min(data.eval_batch_size, -(-count // ranks.world_size))
        one_shape = dataclasses.replace(data, eval_batch_size=rows, num_buckets=1)
        self._source = self._examples.batches(dataclasses.replace(config, dataset_config=one_shape), rank=ranks.rank,
                                              world_size=ranks.world_size)
        self._infer = TransformerForInfer(network.transformer, rows, SearchOptions.from_config(config.model_config))
        self._network, self._ranks = network, ranks

    def measure(self, abandon: Callable[[], bool] = lambda: False) -> dict[str, float] | None:
        """Return the F1 scores in percent, by name; None if `abandon`, called before each batch, returned True."""
        self._network.set_train(False)
        self._infer.refresh()
        try:
            found = generate(self._infer, self._source, quiet=True, abandon=abandon)
        finally:
            self._network.set_train(True)
        if found is None:
            return None
        predictions = list(best_predictions(self._examples, found, self._vocabulary, self._infer.options.attention))
        own = Rouge().measure(predictions).scores if predictions else dict.fromkeys(ROUGE_METRICS, 0.0)
        *sums, count = self._ranks.sum([*(own[name] * len(predictions) for name in ROUGE_METRICS), len(predictions)])
        return {name: total / count for name, total in zip(ROUGE_METRICS, sums, strict=True)}


class ValidationResult(NamedTuple):
    """What one validation measured, over all ranks."""

    nll: float  # negative log-likelihood, summed over target tokens
    targets: int  # number of target tokens
    rouge: dict[str, float] | None  # F1 in percent, if it was measured


class Validator:
    """Measures the network on the validation data of a run."""

    def __init__(self, network: TransformerForTrain, data: TrainingData, config: Config, ranks: Ranks):
        self._network, self._source, self._ranks = network, data.valid_source, ranks
        self._rouge_sample = None
        if config.training_config.valid_rouge_sentences:
            self._rouge_sample = RougeSample(network, data.valid_records, config, ranks)

    def measure(self, abandon: Callable[[], bool]) -> ValidationResult | None:
        """Validate; None if `abandon`, which is called before each batch, returned True."""
        measured = measure_nll(self._network, self._source, self._ranks, abandon)
        if measured is None:
            return None
        if not self._rouge_sample:
            return ValidationResult(*measured, None)
        rouge = self._rouge_sample.measure(abandon)
        return None if rouge is None else ValidationResult(*measured, rouge)


def _sample(records: RecordSet, count: int) -> RecordSet:
    """Return `count` evenly spaced examples."""
    chosen = np.linspace(0, len(records) - 1, count).round().astype(int)
    columns = {name: RaggedArray.from_sequences([column[i] for i in chosen])
               for name, column in records.columns.items()}
    return dataclasses.replace(records, info=records.info.of_examples(chosen.tolist()), columns=columns)
