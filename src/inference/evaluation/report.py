"""A report of an evaluation: scores, lengths, the best and the worst examples, and pictures of the attention."""
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor

from src.common.counter_random import ExampleRandom, random_key
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Shape
from src.dataset.batching.collate import pair_collate
from src.inference.evaluation.attention_plot import CrossAttentionWeights, attention_picture
from src.inference.evaluation.metrics.metric import Metric
from src.inference.evaluation.model_outputs import ModelOutputs
from src.inference.evaluation.pages import Block, Heading, Paragraph, Picture, Table, write_page
from src.inference.examples import ExampleSet
from src.inference.model import Model
from src.language_model import NoiseChannelLanguageModel

SHOWN = 10
"""The number of examples in each table."""
_MOST_TOKENS = 48  # on either side of a picture


def write_report(path: str, metric: Metric, model: Model, examples: ExampleSet, outputs: ModelOutputs,
                 sentence_scores: np.ndarray, metrics: Mapping[str, Any]) -> None:
    """Write the report as HTML or Markdown, depending on the ending of `path`.

    Args:
        sentence_scores: [examples], higher is better.
        metrics: the entries of metrics.json.
    """
    blocks: list[Block] = [
        Paragraph(f"{metrics['sentences']:,} sentences of {', '.join(metrics['test_dataset'])}; checkpoint "
                  f"{metrics['checkpoint']}, step {metrics['checkpoint_step']}."),
        Heading("Scores"), _scores(metric, metrics)]
    if metric.searches:
        blocks += [Paragraph(metrics[metric.signature_key]),
                   Paragraph(f"{metrics['unknown_in_references']:,} unknown tokens in references (they match nothing), "
                             f"{metrics['truncated_references']:,} references truncated.")]
    blocks += [Heading("Lengths in words"), _lengths(outputs.entries)]
    order = np.argsort(-sentence_scores, kind="stable")
    rated = "predictions" if metric.searches else "given targets"
    best, worst = order[:SHOWN], order[SHOWN:][-SHOWN:][::-1]
    for title, chosen in (("Best", best), ("Worst", worst)):
        if len(chosen):
            blocks += [Heading(f"{title} {rated}, by {metric.sentence_label}"),
                       _examples(outputs.entries, sentence_scores, chosen)]
    if examples.pairs:
        blocks += [Heading("Attention"), Paragraph("Cross-attention weights of the last decoder layer for each "
                                                   "predicted token, averaged over the heads.")]
        blocks += _pictures(model, examples, outputs.token_ids, order)
    write_page(path, f"Evaluation, {metric.name}", blocks)


def _scores(metric: Metric, metrics: Mapping[str, Any]) -> Table:
    intervals = metrics[f"{metric.name}_interval"] or {}
    rows = [[name, f"{value:.2f}", "{:.2f} to {:.2f}".format(*intervals[name]) if name in intervals else "-"]
            for name, value in metrics[metric.name].items()]
    return Table([metric.scores_label, "score", "95% interval"], rows)


def _lengths(entries: Sequence[Mapping[str, Any]]) -> Table:
    texts = [name for name in ("source", "target", "tokens", "prediction") if name in entries[0]]
    rows = []
    for name in texts:
        lengths = np.array([len(entry[name].split()) for entry in entries])
        rows.append([name, f"{lengths.mean():.1f}",
                     *(f"{length:.0f}" for length in np.percentile(lengths, [0, 5, 50, 95, 100]))])
    return Table(["", "mean", "shortest", "5%", "median", "95%", "longest"], rows)


def _examples(entries: Sequence[Mapping[str, Any]], sentence_scores: np.ndarray, chosen: Sequence[int]) -> Table:
    names = [name for name, value in entries[0].items() if isinstance(value, str)]
    rows = [[str(index + 1), f"{sentence_scores[index]:.2f}", *(entries[index][name] for name in names)]
            for index in chosen]
    return Table(["line", "score", *names], rows)


def _pictures(model: Model, examples: ExampleSet, token_ids: Sequence[tuple[int, ...]],
              order: np.ndarray) -> Iterator[Picture]:
    """Yield pictures of the best, the median and the worst example among those that are short enough to read."""
    source = examples.records.columns["source"]
    short = [int(index) for index in order
             if len(source[index]) <= _MOST_TOKENS and 1 < len(token_ids[index]) <= _MOST_TOKENS]
    chosen = [short[place] for place in dict.fromkeys((0, len(short) // 2, len(short) - 1))] if short else []
    weights = _attention(model, [source[index] for index in chosen], [token_ids[index] for index in chosen])
    vocabulary = model.files.vocabulary
    for index, matrix in zip(chosen, weights, strict=True):
        sides = [[vocabulary[token] for token in ids] for ids in (source[index], token_ids[index])]
        yield Picture(f"line {index + 1}", attention_picture(matrix[: len(sides[1]), : len(sides[0])], *sides))


def _attention(model: Model, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the cross-attention weights of pairs of token ids: [pairs, target_len, source_len]."""
    if not sources:
        return np.zeros((0, 0, 0))
    columns = [RaggedArray.from_sequences(side) for side in (sources, targets)]
    collate = pair_collate(*columns, NoiseChannelLanguageModel(0.0),
                           model.files.config.dataset_config.attend_to_masks)
    indices = np.arange(len(sources))
    shape = Shape(len(sources), *(int(column.lengths.max()) for column in columns))
    batch = collate(indices, shape, ExampleRandom(random_key(0), indices))
    cell = CrossAttentionWeights(model.network.transformer).set_train(False)
    return cell(*map(Tensor, batch[:7])).asnumpy()
