"""What training_speed.py prints."""
import statistics
from collections.abc import Mapping

from benchmarks.engines.comparison import OURS, PEER_LAYOUTS, Measured

_HEADER = ("size", "task", "ours, tokens/s", "peer grouped, tokens/s", "peer mixed, tokens/s", "ratio",
           "ratio by rounds", "ours, MB", "peer, MB", "first step, s", "filling a cache, s",
           "from the cache, s")

LEGEND = """tokens/s: source and target symbols without padding, medians over the rounds
peer grouped: its batches hold sentences of like length; peer mixed: the sentences of our batches; one a row, padded
ratio: our median over the better of the peer's; by rounds: the median of the rounds' ratios, the lowest and highest
MB: the most memory each process has held, compilation included
first step: ours, compilation included; then in processes with MindSpore's compile cache, which train.py does not use"""


def table(results: Mapping[tuple[str, str], Measured]) -> str:
    """Markdown, a line for each (size, task)."""
    lines = [_HEADER, ("---", "---", *["---:"] * (len(_HEADER) - 2))]
    lines += [(*key, *_cells(measured)) for key, measured in results.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def details(size: str, task: str, measured: Measured) -> str:
    """What stands behind a line of the table: batches, padding, and that both engines learn."""
    shares = ", ".join(f"{layout} {share:.1%}" for layout, share in measured.padding.items())
    losses = ", ".join(f"{layout} {first:.2f} to {last:.2f}" for layout, (first, last) in measured.losses.items())
    return f"- {size}, {task}: {measured.tokens:,.0f} tokens a step; padding {shares}; loss per target symbol {losses}"


def _cells(measured: Measured) -> list[str]:
    ratios = measured.ratios
    peer = [f"{measured.median(layout):,.0f}" if layout in measured.speed else "-" for layout in PEER_LAYOUTS]
    seconds = [f"{seconds:.1f}" for seconds in measured.first_step]
    return [f"{measured.median(OURS):,.0f}", *peer, f"{measured.median(OURS) / measured.median(measured.better):.2f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            *(f"{measured.memory[engine] / 2**20:,.0f}" for engine in ("ours", "peer")), *seconds,
            *["-"] * (3 - len(seconds))]
