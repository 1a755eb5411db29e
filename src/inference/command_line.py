"""The command line of eval.py: its flags, the checks of their combinations, and the task that they ask for."""
import os
import sys
from argparse import ArgumentParser, Namespace

from config.loading import load_config
from src.checkpoints.find import ModelFiles, find_model
from src.common.arguments import DECODING_ERRORS
from src.common.errors import UsageError
from src.common.interruption import importing_mindspore
from src.common.output_checks import require_different_files
from src.common.resumable_output import JOB_FILE, LINES_FILE, unfinished_folder
from src.common.standard_streams import stdout_is_closed
from src.inference.evaluation.metrics import DEFAULT_METRIC, METRICS
from src.inference.evaluation.options import EvaluationOptions
from src.inference.examples import ExampleSet, load_test_set
from src.inference.options import STREAM, GenerationOptions
from src.inference.output import check_file, metrics_path, readable_path
from src.inference.raw_text import pairs_of_text
from src.inference.text_flags import add_text_flags, find_text, text_flags
from src.text.spelling import names_of_flags
from src.text.text_processing import TextProcessing


def add_flags(parser: ArgumentParser) -> None:
    """Add all flags, in groups."""
    model = parser.add_argument_group("model")
    model.add_argument("--ckpt", metavar="PATH", help="weights, or a folder of checkpoints, of which best.safetensors "
                                                      "or else latest.safetensors is used; default: existed_ckpt of "
                                                      "--config")
    model.add_argument("--config", metavar="FILE", help="configuration file (JSON); default: that of the checkpoint")
    model.add_argument("--vocab", metavar="FILE", help="persisted vocabulary (all_en.dict.bin); default: that of the "
                                                       "checkpoint")
    model.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                       help="override one configuration key, for example model_config.beam_width=8; may be repeated")
    model.add_argument("--compute_type", choices=("auto", "float32", "bfloat16", "int8"),
                       help="short for --set model_config.decode_compute_type=..., the number format of the search")
    model.add_argument("--n_best", type=int, metavar="N", help="short for --set model_config.n_best=N")

    data = parser.add_argument_group("input (default: dataset_config.test_dataset)")
    data.add_argument("--input", metavar="FILE", help="raw text, one sentence per line; - reads standard input and "
                                                      "prints each prediction as soon as it is found")
    data.add_argument("--targets", metavar="FILE", help="references; line i belongs to line i of --input, and the "
                                                        "pairs are evaluated like a test set")
    data.add_argument("--interactive", action="store_true", help="print predictions for typed sentences, until Ctrl-D")
    data.add_argument("--turns", type=int, metavar="N",
                      help="with --interactive: use the last N turns of both sides, joined by spaces, as the source "
                           "(for models that were fine-tuned on such sources); default 1, the sentence alone")
    data.add_argument("--strict", action="store_true", help="refuse a sentence of more than seq_length tokens instead "
                                                            "of truncating it with a warning")
    data.add_argument("--errors", choices=DECODING_ERRORS, default="strict",
                      help="bytes that are not UTF-8: strict stops with file and line, replace turns them into U+FFFD")

    add_text_flags(parser)

    out = parser.add_argument_group("output")
    out.add_argument("--output", metavar="FILE",
                     help="for a test set: predictions as JSON lines; a readable .txt and metrics.json are written "
                          "beside it. For --input and --score: plain lines (default: standard output)")
    out.add_argument("--metric", choices=tuple(METRICS), help="; ".join(
        f"{name}{' (default)' if name == DEFAULT_METRIC else ''}: {metric.description.replace('%', '%%')}"
        for name, metric in METRICS.items()))
    out.add_argument("--score", action="store_true",
                     help="write the log-probability of each given target and its number of tokens instead")
    for metric in METRICS.values():
        for flag in metric.flags:
            out.add_argument(flag.name, choices=flag.choices, default=flag.default, help=flag.help)
    out.add_argument("--confidence", action="store_true", help="95%% bootstrap intervals of the scores")
    out.add_argument("--report", metavar="FILE", help="a page (.html or .md) with scores, lengths, best and worst "
                                                      "examples and pictures of the attention")
    out.add_argument("--format", choices=("text", "json"), default="text",
                     help="of predictions for --input: text is the best prediction, json all n best with their scores")
    out.add_argument("--overwrite", action="store_true", help="replace existing outputs, and what another job has left "
                                                                 "unfinished")


def run_evaluation(args: Namespace) -> None:
    """Run the task that the flags ask for.

    Raises:
        UsageError: the flags contradict each other, or an output exists.
        MassError: the model or the data are missing or invalid.
    """
    _check(args)
    overrides = args.overrides + [f"model_config.{key}={value}" for key, value in
                                  (("n_best", args.n_best), ("decode_compute_type", args.compute_type))
                                  if value is not None]
    if args.interactive:
        _run_interactive(args, overrides)
    elif args.score:
        _score_targets(args, overrides)
    elif args.input and not args.targets:
        _generate_text(args, overrides)
    else:
        _evaluate(args, overrides)


def _check(args: Namespace) -> None:
    """Raise a UsageError for flags that would have no effect or contradict each other."""
    text_alone = args.input and not args.targets
    raw = args.input or args.interactive
    no_metric = text_alone or args.interactive or args.score
    refused = [
        (args.interactive and (args.input or args.targets), "--interactive and --input: choose one"),
        (args.targets and not args.input, "--targets needs --input, to whose lines it belongs"),
        (args.input == STREAM and args.targets, "--targets needs --input FILE: standard input cannot be evaluated"),
        (args.turns is not None and not args.interactive, "--turns needs --interactive"),
        (args.turns is not None and args.turns < 1, f"--turns {args.turns}: at least 1"),
        (args.score and (args.interactive or text_alone), "--score needs targets: give --targets, or a test set"),
        (args.score and args.compute_type, "--score does not search: leave out --compute_type"),
        (args.score and (args.report or args.confidence), "--score writes only log-probabilities: leave out --report "
                                                          "and --confidence, or use --metric ppl"),
        ((args.report or args.confidence) and (args.interactive or text_alone),
         "--report and --confidence need scores: give --targets, or a test set"),
        (args.format == "json" and not text_alone, "--format is for predictions for --input"),
        (args.format == "text" and (args.n_best or 1) > 1 and not args.interactive,
         f"--n_best {args.n_best}: only the best prediction is written; give --input and --format json"),
        (not (args.output or args.input or args.interactive or args.score),
         "--output is missing: the file for the predictions on the test set"),
        (args.targets and not (args.output or args.score), "--output is missing: the file for the predictions"),
        (args.interactive and args.output, "--interactive prints to the terminal: leave out --output"),
        (args.metric and no_metric, "--metric is for a test set, or for --input with --targets"),
        *((getattr(args, flag.dest) != flag.default and (no_metric or _metric_name(args) != name),
           f"{flag.name} is for --metric {name}") for name, metric in METRICS.items() for flag in metric.flags),
        (not raw and text_flags(args),
         f"--tokenizer, --codes, {names_of_flags()} are for raw text: give --input, or --interactive"),
        (not raw and (args.strict or args.errors != "strict"), "--strict and --errors are for raw text: give --input"),
        (stdout_is_closed() and not args.output and (text_alone or args.score or args.interactive),
         "standard output is closed, where the results are printed" + ("" if args.interactive else ": give --output")),
        (sys.stdin is None and (args.interactive or args.input == STREAM), "standard input is closed"),
    ]
    for wrong, message in refused:
        if wrong:
            raise UsageError(message)
    _require_no_input_is_replaced(args)


def _require_no_input_is_replaced(args: Namespace) -> None:
    """Raise a UsageError if an output would replace an input or another output."""
    outputs = {"--output": args.output, "--report": args.report}
    if args.output and args.input and not (args.targets or args.score):
        folder = unfinished_folder(args.output)
        outputs |= {f"{name} of the unfinished --output": path for name, path in (
            ("the folder", folder), ("the lines", os.path.join(folder, LINES_FILE)),
            ("the note", os.path.join(folder, JOB_FILE)))}
    if args.output and not (args.score or (args.input and not args.targets)):
        beside = {"the readable text beside --output": readable_path(args.output),
                  "the scores beside --output": metrics_path(args.output)}
        outputs |= {name: path for name, path in beside.items() if path != args.output}  # see check_output
    inputs = {"--input": args.input if args.input != STREAM else None, "--targets": args.targets, "--ckpt": args.ckpt,
              "--config": args.config, "--vocab": args.vocab, "--codes": args.codes}
    require_different_files(inputs.items(), outputs.items())


def _run_interactive(args: Namespace, overrides: list[str]) -> None:
    files, text = _model_and_text(args, overrides)

    with importing_mindspore():  # takes seconds, so the checks come first
        from src.inference.interactive import run_interactive

    run_interactive(files, text, args.turns or 1, args.strict)


def _generate_text(args: Namespace, overrides: list[str]) -> None:
    options = GenerationOptions(args.input, args.output, args.format == "json", args.strict, args.errors,
                                args.overwrite)
    options.check()
    files, text = _model_and_text(args, overrides)

    with importing_mindspore():
        from src.inference.text_job import generate_text

    generate_text(files, text, options)


def _score_targets(args: Namespace, overrides: list[str]) -> None:
    if args.output:
        check_file(args.output, "--output", args.overwrite)
    files, examples = _model_and_examples(args, overrides)

    with importing_mindspore():
        from src.inference.scoring import write_target_scores

    write_target_scores(files, examples, args.output)


def _evaluate(args: Namespace, overrides: list[str]) -> None:
    metric_class = METRICS[_metric_name(args)]
    metric = metric_class(**{flag.option: getattr(args, flag.dest) for flag in metric_class.flags})
    options = EvaluationOptions(args.output, metric, args.confidence, args.report or "", args.overwrite)
    options.check()
    files, examples = _model_and_examples(args, overrides)

    with importing_mindspore():
        from src.inference.evaluation.evaluate import evaluate

    metrics = evaluate(files, examples, options)
    print(f"{metrics['sentences']} sentences, checkpoint {metrics['checkpoint']}")
    intervals = metrics[f"{metric.name}_interval"] or {}
    for name, value in metrics[metric.name].items():
        interval = " (95% interval {:.2f} to {:.2f})".format(*intervals[name]) if name in intervals else ""
        print(f"{metric.name} {name}: {value:.2f}{interval}")
    if metric.signature_key in metrics:
        print(f"signature: {metrics[metric.signature_key]}")
    written = (args.output, readable_path(args.output), metrics_path(args.output), args.report)
    print(f"written: {', '.join(filter(None, written))}")


def _metric_name(args: Namespace) -> str:
    return args.metric or DEFAULT_METRIC


def _model(args: Namespace, overrides: list[str]) -> ModelFiles:
    config = load_config(args.config, overrides) if args.config else None
    return find_model(config, args.ckpt, args.vocab, overrides)


def _model_and_text(args: Namespace, overrides: list[str]) -> tuple[ModelFiles, TextProcessing]:
    files = _model(args, overrides)
    return files, find_text(files, text_flags(args))


def _model_and_examples(args: Namespace, overrides: list[str]) -> tuple[ModelFiles, ExampleSet]:
    if not args.input:
        files = _model(args, overrides)
        return files, load_test_set(files)
    files, text = _model_and_text(args, overrides)
    return files, pairs_of_text(files, text, args.input, args.targets, args.strict, args.errors)
