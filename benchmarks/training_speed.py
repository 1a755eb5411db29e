"""Compare the speed of training on the CPU: our network, and Hugging Face's BART of equal dimensions on PyTorch.

    pip install -r benchmarks/requirements.txt
    python benchmarks/training_speed.py [--sizes small base] [--tasks pre-training fine-tuning] [--rounds 5] [--steps 3]

Both train on the same sentences with the same fragments and masks in the same number of steps, with dropout 0.1, label
smoothing 0.1, Adam (0.9, 0.98) and gradients clipped at 1.0. Our number format is that of `auto`; the peer trains in
float32 and in bfloat16. Each engine has its own process; they take turns. Tokens are whole words. The script prints a
Markdown table, and its progress to stderr.
"""
import argparse
import os
import sys

ENVIRONMENT = dict(os.environ)  # for the peer's process, without what src/__init__.py adds
# Replaces this folder, because transformers would import its kernels.py in place of a package of that name.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from benchmarks.engines import text as texts  # noqa: E402
from benchmarks.engines.comparison import PEER_LAYOUTS, PEER_TYPES, Plan, compare  # noqa: E402
from benchmarks.engines.neighbours import Neighbours  # noqa: E402
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
    plan = Plan(arguments.rounds, arguments.steps, tuple(arguments.peer_batches), tuple(arguments.peer_types),
                not arguments.no_compile_cache, arguments.seed)
    learn_rate = LearnRateConfig(optimizer="adam", lr=1e-4, clip_norm=1.0)
    _print_load()
    neighbours = Neighbours(arguments.loaded)
    results = {}
    for task in arguments.tasks:
        text = _text(task, arguments)
        print(f"{task}: {text.description}", flush=True)
        for name in arguments.sizes:
            size = SIZES[name]
            workload = plan_workload(texts.encode(text, size.vocabulary), size, plan.batches, plan.seed)
            measured = compare(f"{name}, {task}", Training(size.model(arguments.compute_type), learn_rate,
                                                              arguments.operators), workload, plan, ENVIRONMENT,
                               neighbours)
            if not results:
                print(*(f"{engine}: {text}" for engine, text in measured.descriptions.items()), sep="\n", flush=True)
            results[name, task] = measured
            print(details(name, task, measured), flush=True)
    print(f"{plan.rounds} rounds of {plan.steps} steps, {os.cpu_count()} processors\n\n{table(results)}\n\n{LEGEND}")
    if arguments.loaded:
        print(f"\n{neighbours.table()}")


def _print_load() -> None:
    """Print the load: other work slows PyTorch more than us, because its threads wait for each other in a busy loop."""
    load = os.getloadavg()[0]
    verdict = "the machine is busy: the ratios favour us and mean nothing" if load > 0.5 else "idle"
    print(f"load before the start: {load:.1f} ({verdict})", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES),
                        help="small: 256 wide, 3+3 layers, vocabulary 10,000; base: 512, 6+6, 30,000")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds of each engine")
    parser.add_argument("--steps", type=int, default=3, help="number of steps in a round")
    parser.add_argument("--operators", choices=("c", "mindspore"), default="c",
                        help="operators of our network: C kernels or MindSpore's")
    parser.add_argument("--peer_batches", nargs="+", choices=PEER_LAYOUTS, default=list(PEER_LAYOUTS),
                        help="batches of the peer; grouped: sentences of similar length, as with group_by_length; "
                             "mixed: the sentences of our batches")
    parser.add_argument("--peer_types", nargs="+", choices=PEER_TYPES, default=list(PEER_TYPES),
                        help="number formats of the peer; bfloat16 is PyTorch's autocast")
    parser.add_argument("--compute_type", default="auto", choices=("auto", "float32", "bfloat16"),
                        help="model_config.compute_type of our network")
    parser.add_argument("--loaded", type=int, default=0, metavar="PROCESSES",
                        help="run each round once more beside this number of busy processes")
    parser.add_argument("--no_compile_cache", action="store_true",
                        help="do not measure the first steps with MindSpore's compile cache")
    parser.add_argument("--text", help="folder of *.txt files, one sentence per line, for pre-training (default: "
                                       "../shared/data/news beside the project; generated if it is not there)")
    parser.add_argument("--source", help="text file, one source per line, for fine-tuning (default: "
                                         "../shared/data/gigaword/train.article.txt; generated if it is not there)")
    parser.add_argument("--target", help="its targets (default: train.title.txt there)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights, dropout and the choice of sentences")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.steps) < 1:
        raise UsageError("--rounds and --steps must be at least 1")
    if arguments.loaded < 0:
        raise UsageError("--loaded must be at least 0")
    if bool(arguments.source) != bool(arguments.target):
        raise UsageError("give --source and --target together, or neither")
    return arguments


def _text(task: str, arguments: argparse.Namespace) -> texts.Text:
    """Return the text that the flags name, or else the default text, or else generated examples of similar lengths."""
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
