"""A page about one evaluation: scores, lengths, the best and the worst examples, attention for a few."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor

from src.common.counter_random import ExampleRandom, random_key
from src.common.ragged import RaggedArray
from src.dataset.batching.batch import Shape, pair_collate
from src.inference.evaluation.attention_plot import CrossAttentionWeights, attention_picture
from src.inference.evaluation.evaluate import Measured
from src.inference.evaluation.pages import Block, Heading, Paragraph, Picture, Table, write_page
from src.inference.examples import Examples
from src.inference.model import Model
from src.language_model import NoiseChannelLanguageModel

SHOWN = 10
"""Examples in each of the tables."""
_MOST_SYMBOLS = 48  # on either side of a picture


def write_report(path: str, metric: str, model: Model, examples: Examples, measured: Measured,
                 metrics: dict[str, Any]) -> None:
    """Write the page as HTML or Markdown, by the ending of `path`."""
    kind = "answers" if metric == "rouge" else "given targets"
    blocks: list[Block] = [
        Paragraph(f"{metrics['sentences']:,} sentences of {', '.join(metrics['test_dataset'])}; checkpoint "
                  f"{metrics['checkpoint']}, step {metrics['checkpoint_step']}."),
        Heading("Scores"), _scores(metric, metrics)]
    if metric == "rouge":
        blocks += [Paragraph(metrics["signature"]),
                   Paragraph(f"{metrics['unknown_in_references']:,} unknown words in references (they match nothing), "
                             f"{metrics['truncated_references']:,} references truncated.")]
    blocks += [Heading("Lengths in words"), _lengths(measured.answers)]
    order = np.argsort(-measured.sentence_scores, kind="stable")
    score = "ROUGE-L" if metric == "rouge" else "log-probability of a symbol"
    best, worst = order[:SHOWN], order[SHOWN:][-SHOWN:][::-1]
    for title, chosen in (("Best", best), ("Worst", worst)):
        if len(chosen):
            blocks += [Heading(f"{title} {kind}, by {score}"), _examples(measured, chosen)]
    if examples.pairs:
        blocks += [Heading("Attention"), Paragraph("What the last decoder layer looked at in the source, mean over its "
                                                   "heads, when it predicted each symbol.")]
        blocks += _pictures(model, examples, measured, order)
    write_page(path, f"Evaluation, {metric}", blocks)


def _scores(metric: str, metrics: dict[str, Any]) -> Table:
    intervals = metrics[f"{metric}_interval"] or {}
    rows = [[name, f"{value:.2f}", "{:.2f} to {:.2f}".format(*intervals[name]) if name in intervals else "-"]
            for name, value in metrics[metric].items()]
    return Table([{"rouge": "F1 x 100", "ppl": "perplexity per"}[metric], "score", "95% interval"], rows)


def _lengths(answers: Sequence[dict[str, Any]]) -> Table:
    texts = [name for name in ("source", "target", "tokens", "prediction") if name in answers[0]]
    rows = []
    for name in texts:
        lengths = np.array([len(answer[name].split()) for answer in answers])
        rows.append([name, f"{lengths.mean():.1f}",
                     *(f"{length:.0f}" for length in np.percentile(lengths, [0, 5, 50, 95, 100]))])
    return Table(["", "mean", "shortest", "5%", "median", "95%", "longest"], rows)


def _examples(measured: Measured, chosen: Sequence[int]) -> Table:
    names = [name for name, value in measured.answers[0].items() if isinstance(value, str)]
    rows = [[str(index + 1), f"{measured.sentence_scores[index]:.2f}",
             *(measured.answers[index][name] for name in names)] for index in chosen]
    return Table(["line", "score", *names], rows)


def _pictures(model: Model, examples: Examples, measured: Measured, order: np.ndarray) -> Iterator[Picture]:
    """Of the best, the median and the worst example among those that are short enough to read."""
    source = examples.records.columns["source"]
    short = [int(index) for index in order
             if len(source[index]) <= _MOST_SYMBOLS and 1 < len(measured.shown_ids[index]) <= _MOST_SYMBOLS]
    chosen = [short[place] for place in dict.fromkeys((0, len(short) // 2, len(short) - 1))] if short else []
    weights = _attention(model, [source[index] for index in chosen], [measured.shown_ids[index] for index in chosen])
    vocabulary = model.files.vocabulary
    for index, matrix in zip(chosen, weights, strict=True):
        sides = [[vocabulary[symbol] for symbol in ids] for ids in (source[index], measured.shown_ids[index])]
        yield Picture(f"line {index + 1}", attention_picture(matrix[: len(sides[1]), : len(sides[0])], *sides))


def _attention(model: Model, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> np.ndarray:
    """[pairs, target_len, source_len]."""
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
