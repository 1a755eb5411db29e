"""What eval.py computes for the sentences of a verification: the predictions, and their log-probabilities."""
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, mutable, nn, ops

from src.common.ragged import RaggedArray
from src.export.interface import ExportedModel
from src.inference.examples import ExampleSet, examples_of_text
from src.inference.generation import generate
from src.inference.predictions import prediction_tokens
from src.inference.raw_text import TextInput
from src.text.text_processing import ProcessedLines
from src.transformer.transformer_for_infer import TransformerForInfer
from src.transformer.transformer_for_train import TransformerForTrain


class Reference(NamedTuple):
    """Sentences, and what our network makes of them; all sequences of ids end with `</s>`."""

    sentences: list[str]
    source_ids: list[list[int]]
    target_ids: list[list[int]]
    predictions: list[str]
    log_probs: list[np.ndarray]  # of each token of target_ids
    sentences_per_second: float  # of the search


def make_reference(model: ExportedModel, sentences: Sequence[str]) -> Reference:
    """Generate predictions for raw sentences, which are the targets of the log-probabilities.

    Sentences without words are left out: eval.py writes an empty line for them without asking the network.
    """
    encoded = TextInput(model.files, model.text).read(sentences, "the sentences of the verification")
    present = np.flatnonzero(encoded.ids.lengths > 1)
    processed = ProcessedLines(*([column[index] for index in present] for column in encoded.processed))
    ids = encoded.ids.take(present)
    examples = examples_of_text(model.files, (), processed, ids)
    config, vocabulary = model.files.config, model.files.vocabulary
    infer = TransformerForInfer(model.network.transformer, config.dataset_config.eval_batch_size, model.search)
    start = time.perf_counter()
    found = [hypotheses[0] for hypotheses in generate(infer, examples.batches(config), quiet=True)]
    seconds = time.perf_counter() - start
    copied = config.model_config.copy_unk
    texts = [model.text.to_text(prediction_tokens(best, examples.source_tokens(number) if copied else None, vocabulary))
             for number, best in enumerate(found)]
    targets = RaggedArray.from_sequences([best.ids for best in found])
    scored = examples_of_text(model.files, (), processed, ids, processed, targets)
    return Reference([sentences[index] for index in present], [ids[row].tolist() for row in range(len(ids))],
                     [list(best.ids) for best in found], texts, _token_log_probs(model, scored),
                     len(found) / seconds)


class _TokenLogProbs(nn.Cell):
    """The fields of a Batch -> the log-probability of each label, [batch, target_len]; 0 at padding."""

    def __init__(self, network: TransformerForTrain):
        super().__init__(auto_prefix=False)
        self.transformer, self.loss = network.transformer, network.loss

    def construct(self, source_ids: Tensor, source_positions: Tensor, source_segments: Tensor, source_mask: Tensor,
                  decoder_input_ids: Tensor, decoder_positions: Tensor, decoder_segments: Tensor, labels: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        states = self.transformer(source_ids, source_positions, source_segments, source_mask, decoder_input_ids,
                                  decoder_positions, decoder_segments, dropout_seed)
        _, nll = self.loss.row_losses(states, ops.reshape(labels, (-1,)))
        return -ops.reshape(nll, labels.shape)


def _token_log_probs(model: ExportedModel, examples: ExampleSet) -> list[np.ndarray]:
    scorer = _TokenLogProbs(model.network).set_train(False)
    found: list[np.ndarray] = [np.zeros(0)] * len(examples)
    for indices, batch in examples.scoring_batches(model.files.config).in_order():
        log_probs = scorer(*mutable(tuple(map(Tensor, batch))), model.network.transformer.no_dropout_seed).asnumpy()
        for row, index in enumerate(indices):
            if index >= 0:
                found[index] = log_probs[row, : np.count_nonzero(batch.labels[row])]
    return found
