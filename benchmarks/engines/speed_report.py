"""The output of training_speed.py."""
import statistics
from collections.abc import Mapping

from benchmarks.engines.comparison import OURS, PEER_RUNS, Measured

_HEADER = ("size", "task", "ours, tokens/s", *(f"peer {name}" for name in PEER_RUNS), "ratio",
           "ratio by rounds", "ours, MB", "peer, MB", "first step, s", "filling a cache, s",
           "from the cache, s")

LEGEND = """tokens/s: source and target tokens per second, without padding; medians over the rounds
peer: tokens/s; grouped: its batches hold sentences of similar length; mixed: those of our batches; one per row, padded;
    bfloat16: with PyTorch's autocast
ratio: our median divided by the best one of the peer; by rounds: the median of the rounds' ratios, lowest and highest
MB: peak memory of each process, including compilation
first step: ours, including compilation; then with MindSpore's compile cache, which train.py does not use"""


def table(results: Mapping[tuple[str, str], Measured]) -> str:
    """Return a Markdown table with a line for each (size, task)."""
    lines = [_HEADER, ("---", "---", *["---:"] * (len(_HEADER) - 2))]
    lines += [(*key, *_cells(measured)) for key, measured in results.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def details(size: str, task: str, measured: Measured) -> str:
    """Return the details of a line of the table.

    They are tokens, padding, losses, which show that both engines learn, and processor time, which other work on the
    machine changes least if each engine has one thread.
    """
    shares = ", ".join(f"{layout} {share:.1%}" for layout, share in measured.padding.items())
    losses = ", ".join(f"{name} {first:.2f} to {last:.2f}" for name, (first, last) in measured.losses.items())
    processor = ", ".join(f"{name} {1e6 * seconds:,.0f}" for name, seconds in measured.processor.items())
    return (f"- {size}, {task}: {measured.tokens:,.0f} tokens per step; padding {shares}; loss per target token "
            f"{losses}; microseconds of processor time per token {processor}")


def _cells(measured: Measured) -> list[str]:
    ratios = measured.ratios
    peer = [f"{measured.median(name):,.0f}" if name in measured.speed else "-" for name in PEER_RUNS]
    seconds = [f"{seconds:.1f}" for seconds in measured.first_step]
    return [f"{measured.median(OURS):,.0f}", *peer, f"{measured.median(OURS) / measured.median(measured.best):.2f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            *(f"{measured.memory[engine] / 2**20:,.0f}" for engine in ("ours", "peer")), *seconds,
            *["-"] * (3 - len(seconds))]
