"""Converting text files line by line in several processes; the output is in the order of the input."""
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import NamedTuple

from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, make_output_folder
from src.common.finished_outputs import FinishedOutputs, Task
from src.common.folder_lock import locked_folder
from src.common.output_checks import Role, require_different_files
from src.common.parallel import map_in_order
from src.common.progress import Progress, say
from src.common.text_files import FilePart, batches_of_parts, file_parts
from src.utils.dictionary import Dictionary

_COUNTED_BYTES = 1 << 21  # larger tasks for conversions that count, as the size of counts grows slowly with the text


class ConvertedText(NamedTuple):
    """The result of a conversion; it has as many lines as the text that was converted."""

    text: str
    tokens: int = 0  # not needed if the conversion has `take_counts`


@dataclass(frozen=True)
class Conversion:
    """A conversion of text files that maps each line to one line."""

    label: str  # for the progress bar
    convert: Callable[[str], ConvertedText]  # converts whole lines; workers must be able to import it
    settings: Mapping[str, object]  # everything that the output depends on except the text, as a JSON object
    suffix: str  # of output files: `<name>.txt` becomes `<name><suffix>`
    take_counts: Callable[[], Counter[str]] | None = None
    """Returns the frequencies of the tokens that this process has converted since the last call.

    With this function, the frequencies are written to `<name>.dict`.
    """
    keep_line_ends: bool = False  # keep \r\n and a missing \n at the end of the file; otherwise lines end with \n


@dataclass
class FileSummary:
    """A summary of the conversion of one file, or of several files."""

    source: str
    output: str
    lines: int = 0
    tokens: int = 0
    damaged: int = 0  # number of lines with bytes that are not UTF-8
    seconds: float = 0.0
    skipped: int = 0  # number of files that were up to date
    counts: Counter[str] = field(default_factory=Counter, repr=False)  # frequencies of the tokens

    def add(self, other: "FileSummary") -> None:
        """Add the numbers of another summary to this one."""
        self.lines += other.lines
        self.tokens += other.tokens
        self.damaged += other.damaged
        self.seconds += other.seconds
        self.skipped += other.skipped
        self.counts.update(other.counts)

    def __str__(self) -> str:
        text = f"{self.source} -> {self.output}: {self.lines:,} lines, {self.tokens:,} tokens"
        if self.damaged:
            text += f", {self.damaged:,} lines with bytes that are not UTF-8 (now U+FFFD)"
        if self.skipped:
            text += f", unchanged and skipped{f' ({self.skipped:,} files)' if self.skipped > 1 else ''}"
        if self.seconds:
            text += f", {self.seconds:.1f} s, {self.lines / self.seconds:,.0f} lines/s"
        return text


def plan_outputs(sources: Sequence[str], output_folder: str, suffix: str) -> list[tuple[str, str]]:
    """Return (source, output) for each source: `<name>.txt` becomes `<output_folder>/<name><suffix>`.

    Errors are raised before anything is written.

    Raises:
        UsageError: there is no source, two sources have the same output, or the output folder is a source folder.
        MassError: all sources are empty, or an output cannot be written.
    """
    if not sources:
        raise UsageError("no source folder is given")
    if not any(os.path.getsize(source) for source in sources):
        raise MassError(f"there is no text; empty: {', '.join(sources[:5])}{' ...' if len(sources) > 5 else ''}")
    folder = os.path.realpath(output_folder)
    taken: dict[str, str] = {}
    for source in sources:
        if os.path.realpath(os.path.dirname(source) or ".") == folder:
            raise UsageError(
                f"output folder {output_folder!r} is the source folder of {source!r}: the next run would read the "
                f"outputs of this one; choose another output folder"
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
    sources: Sequence[str], output_folder: str, conversion: Conversion, options: RunOptions,
    other_inputs: Iterable[Role] = (), other_outputs: Iterable[Role] = ()
) -> Iterator[FileSummary]:
    """Convert files into the output folder, and yield a summary of each file when its output is complete.

    Large files are split among the processes; small files are sent to them in groups. Outputs that are up to date are
    skipped. The output folder is locked meanwhile.

    Args:
        other_inputs: the files that the program reads besides the sources.
        other_outputs: the files that the program writes besides the converted ones.

    Raises:
        UsageError: an output would replace an input or another output.
        MassError: there is no token in any file, or another process writes into the output folder. See `plan_outputs`
            for further errors.
    """
    plan = plan_outputs(sources, output_folder, conversion.suffix)
    outputs = [("the converted text", output) for _, output in plan]
    if conversion.take_counts:
        outputs += [("the file of frequencies", _counts_path(output, conversion)) for _, output in plan]
    require_different_files([*(("a source text", source) for source in sources), *other_inputs],
                            [*outputs, *other_outputs])
    return _convert_planned(plan, output_folder, conversion, options)


def _convert_planned(
    plan: Sequence[tuple[str, str]], output_folder: str, conversion: Conversion, options: RunOptions
) -> Iterator[FileSummary]:
    with locked_folder(output_folder):
        yield from _convert_into_locked(plan, output_folder, conversion, options)


def _convert_into_locked(
    plan: Sequence[tuple[str, str]], output_folder: str, conversion: Conversion, options: RunOptions
) -> Iterator[FileSummary]:
    finished = FinishedOutputs(output_folder, options.overwrite)
    settings = {**conversion.settings, "errors": options.errors}
    tasks = [finished.task(os.path.basename(output), [source], settings) for source, output in plan]
    for line in finished.warnings([os.path.basename(output) for _, output in plan]):
        say(line, sys.stderr)
    unfinished = [source for (source, _), task in zip(plan, tasks, strict=True) if task.summary is None]
    parts = (part for source in unfinished for part in file_parts(source))
    batches = batches_of_parts(parts, _COUNTED_BYTES if conversion.take_counts else None)
    convert = partial(_convert_parts, conversion, options.errors)
    with (
        closing(map_in_order(convert, batches, options.processes)) as results,
        Progress(conversion.label, sum(map(os.path.getsize, unfinished)), "B", options.quiet) as progress,
    ):
        by_file = groupby(chain.from_iterable(results), key=lambda result: result.part.path)
        tokens = 0
        for (source, output), task in zip(plan, tasks, strict=True):
            if task.summary is None:
                begin = time.monotonic()
                summary = _write_file(FileSummary(source, output), next(by_file)[1], progress)
                _finish(task, summary, conversion)
                summary.seconds = time.monotonic() - begin
            else:
                summary = _summary_of_finished(task, FileSummary(source, output, skipped=1), conversion)
            tokens += summary.tokens
            yield summary
    if not tokens:
        raise MassError(f"there is no token in {', '.join(source for source, _ in plan[:5])}")


class _ConvertedPart(NamedTuple):
    part: FilePart
    text: bytes
    lines: int
    damaged: int
    tokens: int
    counts: Counter[str]


def _convert_parts(conversion: Conversion, errors: str, parts: Sequence[FilePart]) -> list[_ConvertedPart]:
    """Convert parts in order; the counts of consecutive parts of one file are returned with the last of them."""
    converted = []
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        text, lines, damaged, tokens = _convert_part(conversion, errors, part)
        last = following is None or following.path != part.path
        counts = conversion.take_counts() if conversion.take_counts and last else Counter()
        converted.append(_ConvertedPart(part, text, lines, damaged, tokens, counts))
    return converted


def _convert_part(conversion: Conversion, errors: str, part: FilePart) -> tuple[bytes, int, int, int]:
    """Return the converted text of a part and the numbers of its lines, damaged lines and tokens."""
    source, damaged = part.decode(errors, conversion.keep_line_ends)
    text, tokens = conversion.convert(source)
    if text.count("\n") != source.count("\n"):
        raise RuntimeError(f"{part}: {source.count(chr(10))} line ends became {text.count(chr(10))}")
    lines = source.count("\n") + bool(source and not source.endswith("\n"))
    return text.encode("utf-8"), lines, damaged, tokens


def _write_file(summary: FileSummary, converted_parts: Iterator[_ConvertedPart], progress: Progress) -> FileSummary:
    """Write the converted parts of one file, and complete its summary."""
    with atomic_output(summary.output) as temporary, open(temporary, "wb") as stream:
        for converted in converted_parts:
            stream.write(converted.text)
            summary.lines += converted.lines
            summary.damaged += converted.damaged
            summary.tokens += converted.tokens + converted.counts.total()
            summary.counts.update(converted.counts)
            progress.update(converted.part.size)
    return summary


def _finish(task: Task, summary: FileSummary, conversion: Conversion) -> None:
    """Write the counts if the conversion has any, and record that the file is finished."""
    outputs, uncounted = [summary.output], Counter()
    if conversion.take_counts:
        vocabulary = Dictionary.from_counts(summary.counts)
        outputs.append(_counts_path(summary.output, conversion))
        vocabulary.export(outputs[-1])
        uncounted = summary.counts - _token_counts(vocabulary)
    task.finish(outputs, {
        "lines": summary.lines, "tokens": summary.tokens, "damaged": summary.damaged, "not in .dict": uncounted,
    })


def _summary_of_finished(task: Task, summary: FileSummary, conversion: Conversion) -> FileSummary:
    earlier = task.summary
    summary.lines, summary.tokens, summary.damaged = earlier["lines"], earlier["tokens"], earlier["damaged"]
    if conversion.take_counts:
        summary.counts = _token_counts(Dictionary.load_from_text(_counts_path(summary.output, conversion)))
        summary.counts.update(earlier["not in .dict"])
    return summary


def _token_counts(vocabulary: Dictionary) -> Counter[str]:
    pairs = zip(vocabulary.tokens, vocabulary.frequencies, strict=True)
    return Counter({token: frequency for token, frequency in pairs if frequency})


def _counts_path(output: str, conversion: Conversion) -> str:
    return output.removesuffix(conversion.suffix) + ".dict"
