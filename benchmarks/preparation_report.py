"""The Markdown tables that benchmarks/data_preparation.py prints."""
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from measure_process import Measurement
from preparation_runs import OTHERS, STEPS, Run

Done = Mapping[Run, Sequence[Measurement]]
NAMES = {
    "tokenize": "tokenize (`tokenize_corpus.py`)",
    "learn": "learn codes (`learn_subword.sh`)",
    "bpe": "apply BPE, count, vocabulary (`apply_bpe_encoding.py`)",
    "records": "write records (`news_crawl.py`)",
    "mindrecord": "write MindRecord (`news_crawl.py --format mindrecord`)",
    "subword-nmt": "`subword-nmt apply-bpe`",
    "plain": "`plain_preparation.py`",
}
PIPELINE = ("tokenize", "bpe", "records")  # from raw text to records with given codes
MAX_GROWTH, MAX_MIB = 0.10, 600


def report(done: Done, lines: int, sample_lines: int) -> str:
    """Return tables of speed and memory, and a list of the targets."""
    tables = [make(done, lines, sample_lines) for make in (_speed_table, _memory_table, _targets)]
    return "\n\n".join(table for table in tables if table)


def _seconds(done: Done, step: str, processes: int, lines: int) -> float | None:
    """Return the median seconds of a step over the rounds; None if it was not measured."""
    found = done.get(Run(step, processes, lines))
    return statistics.median(measured.seconds for measured in found) if found else None


def _pipeline_seconds(done: Done, processes: int, lines: int, learn: bool) -> float | None:
    """Return the median seconds of the whole pipeline, including learning the codes if `learn`."""
    rounds = [done.get(Run(step, processes, lines), ()) for step in PIPELINE]
    learning = _seconds(done, "learn", processes, lines) if learn else 0.0
    if not all(rounds) or learning is None:
        return None
    return statistics.median(sum(m.seconds for m in steps) for steps in zip(*rounds, strict=True)) + learning


class _Other(NamedTuple):
    """Another program that a step is compared with."""

    lines: int
    seconds: float
    name: str


def _plain(done: Done, sizes: Sequence[int], name: str, step: str | None = None) -> _Other | None:
    """Return the time of plain_preparation.py, or of one of its steps, for the first of `sizes` it was run on."""
    for lines in sizes:
        if found := done.get(Run("plain", 1, lines)):
            seconds = statistics.median(json.loads(m.output)[step] if step else m.seconds for m in found)
            return _Other(lines, seconds, name if lines == sizes[0] else f"{name}, on {lines:,} lines")
    return None


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|", *body])


def _speed(lines: int, seconds: float | None) -> str:
    return "" if seconds is None else f"{lines / seconds:,.0f} ({seconds:,.1f} s)"


def _ratio(slow: float | None, fast: float | None) -> str:
    return "" if slow is None or fast is None else f"{slow / fast:.2f}"


def _speed_table(done: Done, lines: int, sample_lines: int) -> str:
    rows = []
    sizes = (lines, sample_lines)
    for name, (one, two), other in [
        *((NAMES[step], [_seconds(done, step, count, lines) for count in (1, 2)], _other(done, step, sizes))
          for step in STEPS),
        ("raw text to records, codes given", [_pipeline_seconds(done, count, lines, False) for count in (1, 2)],
         _plain(done, sizes, "plain script, no records")),
        ("raw text to records, codes learned", [_pipeline_seconds(done, count, lines, True) for count in (1, 2)], None),
    ]:
        if one is not None or two is not None:
            beside = f"{_speed(other.lines, other.seconds)} {other.name}" if other else ""
            slower = _ratio(other.seconds * lines / other.lines, one) if other else ""
            rows.append((name, _speed(lines, one), _speed(lines, two), _ratio(one, two), beside, slower))
    head = ("lines/s", "1 process", "2 processes", "2 against 1", "other program, 1 process", "1 process against it")
    return _table(head, rows) if rows else ""


def _other(done: Done, step: str, sizes: Sequence[int]) -> _Other | None:
    if step == "bpe":
        seconds = _seconds(done, "subword-nmt", 1, sizes[0])
        return None if seconds is None else _Other(sizes[0], seconds, NAMES["subword-nmt"])
    return _plain(done, sizes, "nltk in the plain script", "tokenize") if step == "tokenize" else None


def _memory_table(done: Done, lines: int, sample_lines: int) -> str:
    rows = []
    for step in (*STEPS, *OTHERS):
        for processes in (1, 2):
            found = done.get(Run(step, processes, lines))
            sample = done.get(Run(step, processes, sample_lines))
            if found or sample:
                before = f"{sample[0].largest_mib:,.0f}" if sample else ""
                rows.append((NAMES[step], str(processes), before, f"{_peak(found):,.0f}" if found else "",
                             _growth(sample, found), f"{max(m.total_mib for m in found):,.0f}" if found else ""))
    head = ("peak memory, MiB", "processes", f"largest process, {sample_lines:,} lines", f"{lines:,} lines", "growth",
            f"all processes, {lines:,} lines")
    return _table(head, rows) if rows else ""


def _peak(found: Sequence[Measurement]) -> float:
    return max(measured.largest_mib for measured in found)


def _growth(sample: Sequence[Measurement] | None, found: Sequence[Measurement] | None) -> str:
    return f"{_peak(found) / sample[0].largest_mib - 1:+.0%}" if sample and found else ""


def _targets(done: Done, lines: int, sample_lines: int) -> str:
    """Return a line for each target whose measurements are complete."""
    theirs, ours = _seconds(done, "subword-nmt", 1, lines), _seconds(done, "bpe", 1, lines)
    one, two = (_pipeline_seconds(done, count, lines, False) for count in (1, 2))
    learned = _pipeline_seconds(done, 2, lines, True)
    found = []
    if theirs and ours:
        found.append((theirs / ours >= 5, f"BPE in one process {theirs / ours:.1f} times as fast as subword-nmt (5)"))
    if two:
        found.append((lines / two >= 6000, f"raw text to records, 2 processes: {lines / two:,.0f} lines/s (6,000)"))
    if learned:
        found.append((lines / learned >= 6000, f"the same, with learning of codes: {lines / learned:,.0f} lines/s"))
    if one and two:
        found.append((one / two >= 1.7, f"2 processes {one / two:.2f} times as fast as 1 (1.7)"))
    for step in STEPS:
        for processes in (1, 2):
            large, small = (done.get(Run(step, processes, count)) for count in (lines, sample_lines))
            if large and small:
                growth, peak = _peak(large) / small[0].largest_mib - 1, _peak(large)
                limit = "may grow with distinct words" if step == "learn" else f"under {MAX_GROWTH:.0%}"
                found.append((peak < MAX_MIB and (step == "learn" or growth < MAX_GROWTH),
                              f"memory of {step}, {processes} processes: {growth:+.0%} ({limit}), {peak:,.0f} MiB "
                              f"(under {MAX_MIB})"))
    return "\n".join(f"- {'reached' if good else 'MISSED'}: {text}" for good, text in found)
