"""Speed of a training step: our network, and Hugging Face's BART of equal dimensions on PyTorch, on the CPU.

    pip install -r benchmarks/requirements.txt
    python benchmarks/training_speed.py [--sizes small base] [--tasks pre-training fine-tuning] [--rounds 5] [--steps 3]

Both train on the same sentences with the same fragments and masks, in as many steps: dropout 0.1, label smoothing 0.1,
Adam (0.9, 0.98), gradients clipped at 1.0. Each engine has a process of its own; they take turns. Symbols are words.
Prints a Markdown table; progress goes to stderr.
"""
import argparse
import os
import sys

ENVIRONMENT = dict(os.environ)  # the peer's process gets it as it was before src/__init__.py adds to it
# In place of this folder, whose kernels.py would pass for a package that transformers looks for.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from benchmarks.engines import text as texts  # noqa: E402
from benchmarks.engines.comparison import PEER_LAYOUTS, Plan, compare  # noqa: E402
from benchmarks.engines.speed_report import LEGEND, details, table  # noqa: E402
from benchmarks.engines.workload import SIZES, TASKS, Training, plan_workload  # noqa: E402
from config.config import LearnRateConfig  # noqa: E402
from src.common.arguments import HelpFormatter  # noqa: E402
from src.common.errors import UsageError, run  # noqa: E402

_DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "shared", "data")
_NEWS = os.path.join(_DATA, "news")
_PAIRS = tuple(os.path.join(_DATA, "gigaword", f"train.{side}.txt") for side in ("article", "title"))


def main() -> None:
    arguments = _arguments()
    plan = Plan(arguments.rounds, arguments.steps, tuple(arguments.peer_batches), not arguments.no_compile_cache,
                arguments.seed)
    learn_rate = LearnRateConfig(optimizer="adam", lr=1e-4, clip_norm=1.0)
    _print_load()
    results = {}
    for task in arguments.tasks:
        text = _text(task, arguments)
        print(f"{task}: {text.description}", flush=True)
        for name in arguments.sizes:
            size = SIZES[name]
            workload = plan_workload(texts.encode(text, size.vocabulary), size, plan.batches, plan.seed)
            measured = compare(f"{name}, {task}", Training(size.model(), learn_rate, arguments.operators), workload,
                               plan, ENVIRONMENT)
            if not results:
                print(*(f"{engine}: {said}" for engine, said in measured.descriptions.items()), sep="\n", flush=True)
            results[name, task] = measured
            print(details(name, task, measured), flush=True)
    print(f"{plan.rounds} rounds of {plan.steps} steps, {os.cpu_count()} processors\n\n{table(results)}\n\n{LEGEND}")


def _print_load() -> None:
    """Other work does not slow both engines alike: PyTorch's threads wait for each other in a busy loop."""
    load = os.getloadavg()[0]
    verdict = "the machine is busy, so that the ratios favour us and mean nothing" if load > 0.5 else "idle"
    print(f"load before the start: {load:.1f} ({verdict})", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES),
                        help="small: 256 wide, 3+3 layers, vocabulary 10,000; base: 512, 6+6, 30,000")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=5, help="of each engine, in turn")
    parser.add_argument("--steps", type=int, default=3, help="of a round")
    parser.add_argument("--operators", choices=("c", "mindspore"), default="c",
                        help="of our network: the C kernels or MindSpore's own operators")
    parser.add_argument("--peer_batches", nargs="+", choices=PEER_LAYOUTS, default=list(PEER_LAYOUTS),
                        help="grouped: sentences of like length, as with group_by_length; mixed: those of our batches")
    parser.add_argument("--no_compile_cache", action="store_true",
                        help="leave out the first steps with MindSpore's compile cache")
    parser.add_argument("--text", help="folder of *.txt, one sentence a line, for pre-training (default: "
                                       "../shared/data/news beside the project; generated if it is not there)")
    parser.add_argument("--source", help="text file, one source a line, for fine-tuning (default: "
                                         "../shared/data/gigaword/train.article.txt; generated if it is not there)")
    parser.add_argument("--target", help="its targets (default: train.title.txt there)")
    parser.add_argument("--seed", type=int, default=1, help="of weights, dropout and the choice of sentences")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps) < 1:
        raise UsageError("--rounds and --steps are at least 1")
    if bool(arguments.source) != bool(arguments.target):
        raise UsageError("--source and --target are given together or not at all")
    return arguments


def _text(task: str, arguments: argparse.Namespace) -> texts.Text:
    """What was asked for, else the real text where it is there, else generated examples of its lengths."""
    if task == "pre-training":
        if arguments.text or os.path.isdir(_NEWS):
            return texts.read_sentences(arguments.text or _NEWS, arguments.seed)
        return texts.generate({"tokens": 21}, arguments.seed)
    if arguments.source or all(map(os.path.isfile, _PAIRS)):
        return texts.read_pairs(*((arguments.source, arguments.target) if arguments.source else _PAIRS),
                                arguments.seed)
    return texts.generate({"source": 30, "target": 8}, arguments.seed)


if __name__ == "__main__":
    run(main)
