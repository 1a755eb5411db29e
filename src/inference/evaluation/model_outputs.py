"""What the model makes of a test set: predictions found by search, or log-probabilities of the given targets."""
from typing import Any, NamedTuple

from src.inference.examples import ExampleSet
from src.inference.generation import generate
from src.inference.model import Model
from src.inference.predictions import best_predictions
from src.inference.scoring import target_log_probs
from src.transformer.decoding.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer
from src.utils.ppl_score import count_words_and_eos


class ModelOutputs(NamedTuple):
    """The outputs for each example, in the order of the test set."""

    entries: list[dict[str, Any]]  # the lines of the output file
    token_ids: list[tuple[int, ...]]  # of the prediction or the target; empty for a test set of sentences


def search_predictions(model: Model, examples: ExampleSet) -> ModelOutputs:
    """Search for the best prediction for each source."""
    config = model.files.config
    infer = TransformerForInfer(model.network.transformer, config.dataset_config.eval_batch_size,
                                SearchOptions.from_config(config.model_config))
    found = generate(infer, examples.batches(config))
    entries = list(best_predictions(examples, found, model.files.vocabulary, config.model_config.copy_unk))
    return ModelOutputs(entries, [hypotheses[0].ids for hypotheses in found])


def score_targets(model: Model, examples: ExampleSet) -> ModelOutputs:
    """Compute the log-probability of each given target."""
    scores = target_log_probs(model.network, examples.scoring_batches(model.files.config))
    words = examples.scored_target
    entries = [{**examples.text_of_example(index), "log_prob": float(log_prob), "target_tokens": int(tokens),
                **({"target_words": count_words_and_eos(words(index))} if words else {})}
               for index, (log_prob, tokens) in enumerate(zip(*scores, strict=True))]
    targets = examples.records.columns.get("target", ())
    return ModelOutputs(entries, [tuple(targets[index].tolist()) for index in range(len(targets))])
