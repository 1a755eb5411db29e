"""Text files through several processes: parts of lines in, converted lines out, in the order of the input."""
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from src.utils.errors import MassError, UsageError
from src.utils.files import atomic_output, make_output_folder, read_lines

PART_BYTES = 1 << 19  # a second of work or less, so that the last parts keep all processes busy
Item, Result = TypeVar("Item"), TypeVar("Result")


def available_cores() -> int:
    """The number of cores this process may use, which containers limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_processes(count: int, flag: str) -> None:
    """Raise UsageError unless `count`, given as `flag`, is a number of processes."""
    if count < 1:
        raise UsageError(f"{flag} {count}: give 1 process or more")


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield `function(item)` for each item in their order, computed by `processes` processes.

    Only a few items are on their way at a time, so neither items nor results pile up. `function` must be
    importable by a worker: a function of a module, or a `partial` of one.

    Raises:
        MassError: a worker process died. What `function` raises in a worker is raised here.
    """
    if processes == 1:
        yield from map(function, items)
        return
    executor = ProcessPoolExecutor(processes, initializer=_prepare_worker)
    pending = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > 2 * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise MassError(
            "a worker process died: perhaps the system ran out of memory; try again with fewer processes"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


class FilePart(NamedTuple):
    """The bytes [start, end) of a text file: whole lines."""

    path: str
    start: int
    end: int

    def read_lines(self) -> list[str]:
        """The lines of the part, exactly as `src.utils.files.read_lines` gives them."""
        with open(self.path, "rb") as stream:
            stream.seek(self.start)
            data = stream.read(self.end - self.start)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            deque(read_lines(self.path), maxlen=0)  # raises the error that names the line
            raise
        lines = text.split("\n")
        if not lines[-1]:  # what follows the last line end
            lines.pop()
        if self.start == 0 and lines:
            lines[0] = lines[0].removeprefix("\ufeff")
        return [line.removesuffix("\r") for line in lines]


def file_parts(path: str) -> Iterator[FilePart]:
    """Cut a file at line ends into parts of about `PART_BYTES`; an empty file is one empty part."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = 0
        while True:
            stream.seek(start + PART_BYTES - 1)
            stream.readline()
            end = min(stream.tell(), size)
            yield FilePart(path, start, end)
            if end == size:
                return
            start = end


class ConvertedLines(NamedTuple):
    """What a conversion made of the lines of one part: as many lines as it was given."""

    lines: list[str]
    tokens: int
    counts: Counter[str]  # frequency of each token; empty if the conversion does not count them


@dataclass
class FileSummary:
    """What became of one file, or of all files of a folder."""

    source: str
    output: str
    lines: int = 0
    tokens: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter, repr=False)

    def add(self, other: "FileSummary") -> None:
        self.lines += other.lines
        self.tokens += other.tokens
        self.seconds += other.seconds
        self.counts.update(other.counts)

    def __str__(self) -> str:
        return (
            f"{self.source} -> {self.output}: {self.lines:,} lines, {self.tokens:,} tokens, "
            f"{self.seconds:.1f} s, {self.lines / max(self.seconds, 1e-9):,.0f} lines/s"
        )


def plan_outputs(sources: Sequence[str], output_folder: str, suffix: str) -> list[tuple[str, str]]:
    """(source, output) for each source: `<name>.txt` becomes `<output_folder>/<name><suffix>`.

    Raises:
        UsageError: there is no source, two of them would get one output, or the output would be a source next time.
        MassError: no source holds a byte, or an output cannot be written. Nothing has been written then.
    """
    if not sources:
        raise UsageError("no source folder is given")
    if not any(os.path.getsize(source) for source in sources):
        raise MassError(f"there is no text: {', '.join(sources[:5])}{' ...' if len(sources) > 5 else ''} empty")
    folder = os.path.realpath(output_folder)
    taken: dict[str, str] = {}
    for source in sources:
        if os.path.realpath(os.path.dirname(source) or ".") == folder:
            raise UsageError(
                f"output folder {output_folder!r} is the source folder of {source!r}: the next run would read "
                f"its own outputs; give another output folder"
            )
        output = os.path.join(output_folder, os.path.basename(source).removesuffix(".txt") + suffix)
        if output in taken:
            raise UsageError(f"{taken[output]!r} and {source!r} would both be written to {output!r}; rename one")
        if os.path.isdir(output):
            raise MassError(f"output file {output!r} is a folder")
        taken[output] = source
    make_output_folder(output_folder)
    return [(source, output) for output, source in taken.items()]


def convert_files(
    plan: Sequence[tuple[str, str]],
    convert: Callable[[list[str]], ConvertedLines],
    processes: int,
    label: str,
) -> Iterator[FileSummary]:
    """Convert each (source, output) of `plan`; yield a summary when an output is complete.

    The lines of a large file are spread over the processes. `convert` must be importable by a worker and
    give one line for each line. No token in any file is a MassError.
    """
    parts = (part for source, _ in plan for part in file_parts(source))
    size = sum(os.path.getsize(source) for source, _ in plan)
    with (
        closing(map_in_order(partial(_convert_part, convert), parts, processes)) as results,
        tqdm(total=size, desc=label, unit="B", unit_scale=True, disable=None) as progress,
    ):
        tokens_of_all, begin = 0, time.monotonic()
        by_file = groupby(results, key=lambda result: result[0].path)
        for (source, output), (_, converted_parts) in zip(plan, by_file, strict=False):
            summary = FileSummary(source, output)
            with atomic_output(output) as temporary, open(temporary, "wb") as stream:
                for part, text, lines, tokens, counts in converted_parts:
                    stream.write(text)
                    summary.lines += lines
                    summary.tokens += tokens
                    summary.counts.update(counts)
                    progress.update(part.end - part.start)
            now = time.monotonic()
            summary.seconds, begin = now - begin, now
            tokens_of_all += summary.tokens
            progress.clear()  # the caller may print the summary
            yield summary
    if not tokens_of_all:
        raise MassError(f"no token in any line of {', '.join(source for source, _ in plan[:5])}")


def _convert_part(
    convert: Callable[[list[str]], ConvertedLines], part: FilePart
) -> tuple[FilePart, bytes, int, int, Counter[str]]:
    source_lines = part.read_lines()
    lines, tokens, counts = convert(source_lines)
    if len(lines) != len(source_lines):
        raise RuntimeError(f"{part}: {len(source_lines)} lines became {len(lines)}")
    text = "".join([line + "\n" for line in lines]).encode("utf-8")
    return part, text, len(lines), tokens, counts
