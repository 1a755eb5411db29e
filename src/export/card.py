"""The model card, README.md of an exported folder: what the model is, how to use it, how it was trained and scored."""
import os
from collections.abc import Iterator
from typing import Any

from src.common.files import file_digest
from src.common.json_files import read_json
from src.export.folder import trained_from
from src.export.interface import ExportedModel, ExportFormat
from src.export.verification import Verification
from src.inference.output import METRICS_FILE

CARD_FILE = "README.md"


def write_card(model: ExportedModel, target: ExportFormat, output: str, folder: str,
               verification: Verification | None) -> None:
    """Write the model card.

    Args:
        output: the final path of the exported folder, for the example.
        folder: where the card is written.
        verification: None if the export was not verified.
    """
    with open(os.path.join(folder, CARD_FILE), "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write("\n".join(_card_lines(model, target, output, verification)) + "\n")


def _card_lines(model: ExportedModel, target: ExportFormat, output: str,
                verification: Verification | None) -> Iterator[str]:
    files, network = model.files, model.files.config.model_config
    numbers = sum(array.size for array in model.weights.values())
    yield f"# MASS model for {target.title}"
    yield ""
    yield (f"An encoder-decoder Transformer ({network.num_hidden_layers} + {network.num_hidden_layers} layers, hidden "
           f"size {network.hidden_size}, {numbers:,} weights) that was trained with MASS (Song et al., ICML 2019) on "
           f"MindSpore, and exported from `{os.path.basename(files.checkpoint)}`"
           f"{f' (step {files.step})' if files.step is not None else ''}"
           f"{f', quantized to {model.quantize}' if model.quantize else ''}.")
    yield from ("", "## Use", "", target.example(output), "", "It prints the prediction for the sentence.")
    for note in target.notes(model):
        yield from ("", note)
    yield from ("", "The programs in this folder are under the Apache License 2.0. That says nothing about the "
                "weights; whether and how they may be passed on depends on the text that they were trained on.")
    yield from ("", "## Text", "", f"- Raw text is {_text(model)}. This is part of the exported model.",
                f"- Vocabulary: {len(files.vocabulary):,} tokens, fingerprint `{files.vocabulary.fingerprint}`.",
                f"- A source has at most {network.seq_length} tokens with `</s>`; longer ones are truncated.")
    yield from ("", "## Generation settings", "", *_settings(model))
    yield from ("", "## Training", "", *_training(model))
    yield from ("", "## Scores", "", *_scores(files.checkpoint))
    yield from ("", "## Verification", "")
    if verification is None:
        yield "The export was not verified (`--no-verify`)."
    else:
        yield "The exported files were loaded and compared with `eval.py` of MASS on MindSpore:"
        yield from ("", "```text", *verification.lines(), "```")


def _text(model: ExportedModel) -> str:
    text = model.text
    parts = ["already tokenized" if text.tokenizer == "none" else f"tokenized as by {text.tokenizer}"]
    parts += [*text.participles(), "split into subwords (BPE)" if text.codes else "not split into subwords"]
    return ", ".join(parts)


def _settings(model: ExportedModel) -> Iterator[str]:
    search = model.search
    if search.sampling:
        yield (f"- Sampling: temperature {search.sampling.temperature:g}, top_k {search.sampling.top_k}, top_p "
               f"{search.sampling.top_p:g}. Random numbers differ between runtimes.")
    else:
        yield f"- Beam search with {search.beam_width} hypotheses."
        yield (f"- Length penalty: the log-probability is divided by ((5 + length) / 6)^"
               f"{search.length_penalty_weight:g}.")
    yield f"- {search.min_length} to {search.max_length} tokens with `</s>`."
    if search.no_repeat_ngram_size:
        yield f"- No n-gram of {search.no_repeat_ngram_size} tokens occurs twice."
    if search.ban_unk:
        yield "- `<unk>` is never predicted."


def _training(model: ExportedModel) -> Iterator[str]:
    config = model.files.config
    data, rate = config.dataset_config, config.learn_rate_config
    names = {"pre-training sentences": data.pre_train_dataset, "pairs": data.fine_tune_dataset}
    used = [f"{kind} of `{os.path.basename(path.rstrip('/')) or path}`" for kind, path in names.items() if path]
    yield f"- Data: {', '.join(used) or 'not recorded'}."
    if started := trained_from(model):
        yield f"- Started from the weights `{os.path.join(*started.split(os.sep)[-2:])}`."
    yield (f"- {rate.optimizer}, learning rate {rate.lr:g} ({rate.lr_scheduler}, {rate.warmup_steps} steps of "
           f"warm-up), dropout {config.model_config.hidden_dropout_prob:g}, label smoothing "
           f"{config.model_config.label_smoothing:g}.")


def _scores(checkpoint: str) -> Iterator[str]:
    content = _read_metrics(os.path.join(os.path.dirname(checkpoint), METRICS_FILE))
    scores = {metric: values for metric, values in content.items()
              if isinstance(values, dict) and not metric.endswith("_interval")
              and all(isinstance(value, int | float) for value in values.values())}
    if not scores or content.get("checkpoint_digest") != file_digest(checkpoint):
        yield f"There was no `{METRICS_FILE}` of `eval.py` for these weights beside the checkpoint."
        return
    yield f"Measured by `eval.py` before the export, on `{os.path.basename(str(content.get('test_dataset')))}`:"
    yield ""
    for metric, values in scores.items():
        yield from (f"- {metric} {name}: {value:.2f}" for name, value in values.items())


def _read_metrics(path: str) -> dict[str, Any]:
    """Return the content of a metrics.json; nothing if there is no such file or it is damaged."""
    try:
        content = read_json(path, paths=True)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
