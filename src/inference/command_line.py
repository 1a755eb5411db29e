"""The command line of eval.py: its flags, which of them go together, and what they set going."""
import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace

from config.loading import load_config
from src.checkpoints.find import ModelFiles, find_model
from src.common.arguments import DECODING_ERRORS
from src.common.errors import UsageError
from src.inference.examples import Examples, test_set
from src.inference.options import STREAM, EvaluationOptions, TextTask
from src.inference.output import check_file, metrics_path, readable_path
from src.inference.raw_text import TextFlags, find_text, pairs_of_text
from src.runtime.device import importing_mindspore
from src.text.text_processing import TEXT_TOKENIZERS, TextProcessing
from src.utils.rouge_score import ROUGE_TOOLS


def add_flags(parser: ArgumentParser) -> None:
    """Add all flags, in groups."""
    model = parser.add_argument_group("the model")
    model.add_argument("--ckpt", metavar="PATH", help="weights, or a folder of checkpoints: its best.safetensors, or "
                                                      "else latest.safetensors; default: existed_ckpt of --config")
    model.add_argument("--config", metavar="FILE", help="configuration file (JSON); default: that of the checkpoint")
    model.add_argument("--vocab", metavar="FILE", help="persisted vocabulary (all_en.dict.bin); default: that of the "
                                                       "checkpoint")
    model.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                       help="override one configuration key, for example model_config.beam_width=8; may be repeated")
    model.add_argument("--n_best", type=int, metavar="N", help="short for --set model_config.n_best=N")

    data = parser.add_argument_group("what to answer (default: dataset_config.test_dataset)")
    data.add_argument("--input", metavar="FILE", help="raw text, one sentence a line; - is standard input, answered "
                                                      "line by line as it comes")
    data.add_argument("--targets", metavar="FILE", help="what line i of --input should be answered: scored like a test "
                                                        "set")
    data.add_argument("--interactive", action="store_true", help="answer what is typed, until Ctrl-D")
    data.add_argument("--turns", type=int, metavar="N",
                      help="with --interactive: the last N turns of both sides, joined by spaces, are the source (for "
                           "models fine-tuned so); default 1, the sentence alone")
    data.add_argument("--strict", action="store_true", help="refuse a sentence of more than seq_length symbols, which "
                                                            "otherwise is cut with a warning")
    data.add_argument("--errors", choices=DECODING_ERRORS, default="strict",
                      help="bytes that are not UTF-8: strict stops with file and line, replace makes them U+FFFD")

    text = parser.add_argument_group("how raw text is read (default: as text.json beside the checkpoint says)")
    text.add_argument("--tokenizer", choices=TEXT_TOKENIZERS, help="none: tokenized already")
    text.add_argument("--codes", metavar="FILE", help="BPE codes")
    text.add_argument("--lower_case", action=BooleanOptionalAction, help="words in lower case")
    text.add_argument("--digits_to_hash", action=BooleanOptionalAction, help="digits as #")

    out = parser.add_argument_group("what comes out")
    out.add_argument("--output", metavar="FILE",
                     help="of a test set: answers as JSON lines; a readable .txt and metrics.json are written beside "
                          "it. Of --input and --score: lines (default: standard output)")
    out.add_argument("--metric", choices=("rouge", "ppl"),
                     help="rouge (the default) searches answers, ppl scores the given targets")
    out.add_argument("--score", action="store_true",
                     help="write the log-probability of each given target and the number of its symbols, instead")
    out.add_argument("--rouge", choices=ROUGE_TOOLS, default="rouge",
                     help="the package that counts; rouge-score (pip install rouge-score) stems words")
    out.add_argument("--confidence", action="store_true", help="95%% bootstrap intervals of the scores")
    out.add_argument("--report", metavar="FILE", help="a page (.html or .md) with scores, lengths, best and worst "
                                                      "examples and pictures of attention")
    out.add_argument("--format", choices=("text", "json"), default="text",
                     help="of answers to --input: text is the best answer, json all n best with their scores")
    out.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


def carry_out(args: Namespace) -> None:
    """Do what the flags ask for.

    Raises:
        UsageError: they do not go together, or an output exists.
        MassError: the model or the data are missing or bad.
    """
    _check(args)
    overrides = args.overrides + ([f"model_config.n_best={args.n_best}"] if args.n_best is not None else [])
    if args.interactive:
        _talk(args, overrides)
    elif args.score:
        _score(args, overrides)
    elif args.input and not args.targets:
        _answer_text(args, overrides)
    else:
        _measure(args, overrides)


def _check(args: Namespace) -> None:
    """Refuse flags that would have no effect, or contradict each other."""
    text_alone = args.input and not args.targets
    raw = args.input or args.interactive
    refused = [
        (args.interactive and (args.input or args.targets), "--interactive and --input: choose one"),
        (args.targets and not args.input, "--targets needs --input, whose lines it belongs to"),
        (args.input == "-" and args.targets, "--targets needs --input FILE: standard input is answered, not scored"),
        (args.turns is not None and not args.interactive, "--turns is for --interactive"),
        (args.turns is not None and args.turns < 1, f"--turns {args.turns}: at least 1"),
        (args.score and (args.interactive or text_alone), "--score needs targets: give --targets, or a test set"),
        (args.score and (args.report or args.confidence), "--score writes log-probabilities alone: leave out --report "
                                                          "and --confidence, or use --metric ppl"),
        ((args.report or args.confidence) and (args.interactive or text_alone),
         "--report and --confidence are of scores: give --targets, or a test set"),
        (args.format == "json" and not text_alone, "--format is for answers to --input"),
        (args.format == "text" and (args.n_best or 1) > 1 and not args.interactive,
         f"--n_best {args.n_best}: one answer a line is written; give --input and --format json"),
        (not (args.output or args.input or args.interactive or args.score),
         "--output is missing: where the answers and scores of the test set go"),
        (args.targets and not (args.output or args.score), "--output is missing: where answers and scores go"),
        (args.interactive and args.output, "--interactive answers on the terminal: leave out --output"),
        (args.metric and (text_alone or args.interactive or args.score),
         "--metric is for a test set, or for --input with --targets"),
        (args.rouge != "rouge" and (args.metric == "ppl" or text_alone or args.interactive or args.score),
         "--rouge is for --metric rouge"),
        (not raw and (args.tokenizer or args.codes or args.lower_case is not None or args.digits_to_hash is not None),
         "--tokenizer, --codes, --lower_case and --digits_to_hash are for raw text: give --input, or --interactive"),
        (not raw and (args.strict or args.errors != "strict"), "--strict and --errors are for raw text: give --input"),
        (sys.stdin is None and (args.interactive or args.input == STREAM), "standard input is closed"),
    ]
    for wrong, message in refused:
        if wrong:
            raise UsageError(message)
    _require_different_files(args)


def _require_different_files(args: Namespace) -> None:
    """Raise a UsageError if an output would replace an input, or another output."""
    outputs = {"--output": args.output, "--report": args.report}
    if args.output and not (args.score or (args.input and not args.targets)):
        beside = {"the readable text beside --output": readable_path(args.output),
                  "the scores beside --output": metrics_path(args.output)}
        outputs |= {name: path for name, path in beside.items() if path != args.output}  # see check_output
    inputs = {"--input": args.input if args.input != STREAM else None, "--targets": args.targets}
    seen: dict[str, str] = {}
    for name, path in {**inputs, **outputs}.items():
        if path and name not in inputs and os.path.realpath(path) in seen:
            raise UsageError(f"{seen[os.path.realpath(path)]} and {name} are the same file, {path!r}: choose another "
                             f"name")
        if path:
            seen.setdefault(os.path.realpath(path), name)


def _talk(args: Namespace, overrides: list[str]) -> None:
    files, text = _model_and_text(args, overrides)

    with importing_mindspore():  # which takes seconds: not before all is found to be there
        from src.inference.text_tasks import talk

    talk(files, text, args.turns or 1, args.strict)


def _answer_text(args: Namespace, overrides: list[str]) -> None:
    task = TextTask(args.input, args.output, args.format == "json", args.strict, args.errors, args.overwrite)
    task.check()
    files, text = _model_and_text(args, overrides)

    with importing_mindspore():
        from src.inference.text_tasks import answer_text

    answer_text(files, text, task)


def _score(args: Namespace, overrides: list[str]) -> None:
    if args.output:
        check_file(args.output, "--output", args.overwrite)
    files, examples = _model_and_examples(args, overrides)

    with importing_mindspore():
        from src.inference.text_tasks import score_targets

    score_targets(files, examples, args.output)


def _measure(args: Namespace, overrides: list[str]) -> None:
    metric = args.metric or "rouge"
    options = EvaluationOptions(args.output, metric, args.rouge, args.confidence, args.report or "",
                                args.overwrite)
    options.check()
    files, examples = _model_and_examples(args, overrides)

    with importing_mindspore():
        from src.inference.evaluation.evaluate import evaluate

    metrics = evaluate(files, examples, options)
    print(f"{metrics['sentences']} sentences, checkpoint {metrics['checkpoint']}")
    intervals = metrics[f"{metric}_interval"] or {}
    for name, value in metrics[metric].items():
        interval = " (95% interval {:.2f} to {:.2f})".format(*intervals[name]) if name in intervals else ""
        print(f"{metric} {name}: {value:.2f}{interval}")
    if metric == "rouge":
        print(f"signature: {metrics['signature']}")
    written = (args.output, readable_path(args.output), metrics_path(args.output), args.report)
    print(f"written: {', '.join(filter(None, written))}")


def _model(args: Namespace, overrides: list[str]) -> ModelFiles:
    config = load_config(args.config, overrides) if args.config else None
    return find_model(config, args.ckpt, args.vocab, overrides)


def _model_and_text(args: Namespace, overrides: list[str]) -> tuple[ModelFiles, TextProcessing]:
    files = _model(args, overrides)
    flags = TextFlags(args.tokenizer, args.codes, args.lower_case, args.digits_to_hash)
    return files, find_text(files, flags)


def _model_and_examples(args: Namespace, overrides: list[str]) -> tuple[ModelFiles, Examples]:
    if not args.input:
        files = _model(args, overrides)
        return files, test_set(files)
    files, text = _model_and_text(args, overrides)
    return files, pairs_of_text(files, text, args.input, args.targets, args.strict, args.errors)
