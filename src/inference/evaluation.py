"""From a configuration to answers and scores of a test set."""
import dataclasses
from typing import Any

import numpy as np

from config.config import Config
from src.dataset.batch_source import BatchSource
from src.dataset.data_sources import batch_source, with_vocabulary_size
from src.dataset.records import RecordSet, load_records
from src.inference.answers import best_answers, score_answers, text_of
from src.inference.generation import generate
from src.inference.output import check_output, write_answers, write_metrics
from src.inference.scoring import target_log_probs
from src.transformer.operators.choice import choose_operators
from src.transformer.search.options import SearchOptions
from src.transformer.transformer_for_infer import TransformerForInfer
from src.transformer.transformer_for_train import TransformerForTrain
from src.transformer.weights import load_into
from src.utils.device import require_compute_type, set_up_device
from src.utils.dictionary import Dictionary
from src.utils.errors import MassError, UsageError
from src.utils.ppl_score import perplexities
from src.utils.rouge_score import rouge_signature


def evaluate(config: Config, vocabulary_path: str, output: str, metric: str) -> dict[str, Any]:
    """Answer (`rouge`) or score (`ppl`) all of dataset_config.test_dataset; returns what metrics.json holds."""
    check_output(output)
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    records = _test_records(config, vocabulary, vocabulary_path)
    config = with_vocabulary_size(config, records)
    data = dataclasses.replace(config.dataset_config, batch_size=config.dataset_config.eval_batch_size, max_tokens=0,
                               accumulate_batches=1, pack_sentences=False)
    config = dataclasses.replace(config, dataset_config=data)
    source = batch_source(records, config, noisy=False)
    set_up_device(config)
    require_compute_type(config)
    choice = choose_operators(config.training_config.device_target, config.training_config.native_kernels,
                              config.model_config.compute_type)
    print(f"operators: {choice.reason}", flush=True)
    network = TransformerForTrain(config.model_config, choice.operators)
    checkpoint = config.checkpoint_options.existed_ckpt
    weights = load_into(network, checkpoint, config.model_config, records.info.vocabulary, vocabulary_path)
    measure = {"rouge": _rouge, "ppl": _ppl}[metric]
    figures = measure(config, network, records, source, vocabulary, output)
    metrics = {**figures, "sentences": len(records), "test_dataset": list(records.paths),
               "checkpoint": checkpoint, "checkpoint_step": weights.metadata.get("step"),
               "vocabulary_fingerprint": vocabulary.fingerprint}
    write_metrics(output, metrics)
    return metrics


def _test_records(config: Config, vocabulary: Dictionary, vocabulary_path: str) -> RecordSet:
    if not config.dataset_config.test_dataset:
        raise UsageError("dataset_config.test_dataset is empty: set it to the records to evaluate on")
    if not config.checkpoint_options.existed_ckpt:
        raise UsageError("checkpoint_options.existed_ckpt is empty: set it to the weights to evaluate")
    records = load_records(config.dataset_config.test_dataset, "dataset_config.test_dataset")
    if records.info.vocabulary["fingerprint"] != vocabulary.fingerprint:
        own = Dictionary.load_from_persisted_dict(records.vocabulary_path)
        raise MassError(f"{records.paths[0]!r} was made with the vocabulary {records.vocabulary_path!r}, not with "
                        f"--vocab {vocabulary_path!r}: {own.describe_difference(vocabulary)}")
    return records


def _rouge(config: Config, network: TransformerForTrain, records: RecordSet, source: BatchSource,
           vocabulary: Dictionary, output: str) -> dict[str, Any]:
    if records.info.kind != "pairs":
        raise UsageError("--metric rouge answers pairs, but dataset_config.test_dataset holds sentences")
    model = config.model_config
    infer = TransformerForInfer(network.transformer, config.dataset_config.eval_batch_size,
                                SearchOptions.from_config(model))
    answers = list(best_answers(records, generate(infer, source), vocabulary))
    write_answers(output, answers)
    return {"rouge": score_answers(answers),
            "unknown_in_references": sum(answer["target"].count("<unk>") for answer in answers),
            "truncated_references": records.info.flawed.get("target truncated", 0),
            "signature": f"{rouge_signature()}, beam {model.beam_width}, length penalty "
                         f"{model.length_penalty_weight:g}, at most {model.max_decode_length} symbols, "
                         f"vocabulary {vocabulary.fingerprint[:12]}"}


def _ppl(config: Config, network: TransformerForTrain, records: RecordSet, source: BatchSource,
         vocabulary: Dictionary, output: str) -> dict[str, Any]:
    log_probs, counts = target_log_probs(network, source)
    columns = ("source", "target") if records.info.kind == "pairs" else ("tokens",)
    write_answers(output, ({**{name: text_of(records.columns[name][index], vocabulary) for name in columns},
                            "log_prob": float(log_probs[index]), "symbols": int(counts[index])}
                           for index in range(len(records))))
    subwords = int(counts.sum())
    figures = {"nll": -float(log_probs.sum()), "target_symbols": subwords}
    if records.info.kind == "sentences":  # a fragment has no whole words to count
        return {"ppl": {"subword": perplexities(figures["nll"], subwords, subwords).subword}, **figures}
    words = count_words(records.columns["target"].values, vocabulary)
    return {"ppl": perplexities(figures["nll"], subwords, words)._asdict(), **figures, "target_words": words}


def count_words(ids: np.ndarray, vocabulary: Dictionary) -> int:
    """Words among ids after BPE is joined: symbols that no other one continues; each </s> counts as one."""
    ends_word = np.array([not symbol.endswith("@@") for symbol in vocabulary.symbols])
    return int(np.count_nonzero(ends_word[ids]))
