"""Text files through several processes: text in, converted text out, line by line in the order of the input."""
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import NamedTuple

from src.common.arguments import RunOptions
from src.common.errors import MassError, UsageError
from src.common.files import atomic_output, make_output_folder
from src.common.finished_outputs import FinishedOutputs, Task
from src.common.parallel import map_in_order
from src.common.progress import Progress
from src.common.text_files import FilePart, batches_of_parts, file_parts
from src.utils.dictionary import Dictionary

_COUNTED_BYTES = 1 << 21  # of a task that counts, as counts of much text are not much larger than those of little


class ConvertedText(NamedTuple):
    """What a conversion made of text: as many lines as it was given."""

    text: str
    tokens: int = 0  # not needed if the conversion counts each of them


@dataclass(frozen=True)
class Conversion:
    """A way to convert text files, one line into one line."""

    label: str
    convert: Callable[[str], ConvertedText]  # of whole lines; importable by a worker
    settings: Mapping[str, object]  # all that the output depends on beside the text, as JSON knows it
    suffix: str  # of the outputs: `<name>.txt` becomes `<name><suffix>`
    take_counts: Callable[[], Counter[str]] | None = None
    """The frequency of each token converted since the last call, in this process; with it, `<name>.dict` is written."""
    keep_line_ends: bool = False  # \r\n, and a missing \n at the end; otherwise each line ends with \n


@dataclass
class FileSummary:
    """What became of one file, or of all files of a folder."""

    source: str
    output: str
    lines: int = 0
    tokens: int = 0
    damaged: int = 0  # lines with bytes that are not UTF-8
    seconds: float = 0.0
    skipped: int = 0  # files that an earlier run had finished
    counts: Counter[str] = field(default_factory=Counter, repr=False)  # of the tokens

    def add(self, other: "FileSummary") -> None:
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
    sources: Sequence[str], output_folder: str, conversion: Conversion, options: RunOptions
) -> Iterator[FileSummary]:
    """Convert each source into the output folder; yield a summary when an output is complete.

    Large files are spread over the processes, small ones go to them several at a time. Outputs that an earlier
    run finished are skipped. No token in any file is a MassError; see `plan_outputs` for others.
    """
    plan = plan_outputs(sources, output_folder, conversion.suffix)
    return _convert_planned(plan, output_folder, conversion, options)


def _convert_planned(
    plan: Sequence[tuple[str, str]], output_folder: str, conversion: Conversion, options: RunOptions
) -> Iterator[FileSummary]:
    finished = FinishedOutputs(output_folder, options.overwrite)
    settings = {**conversion.settings, "errors": options.errors}
    tasks = [finished.task(os.path.basename(output), [source], settings) for source, output in plan]
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
        raise MassError(f"no token in any line of {', '.join(source for source, _ in plan[:5])}")


class _ConvertedPart(NamedTuple):
    part: FilePart
    text: bytes
    lines: int
    damaged: int
    tokens: int
    counts: Counter[str]


def _convert_parts(conversion: Conversion, errors: str, parts: Sequence[FilePart]) -> list[_ConvertedPart]:
    """Convert parts in order; the counts of those of one file come with the last of them."""
    converted = []
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        text, lines, damaged, tokens = _convert_part(conversion, errors, part)
        last = following is None or following.path != part.path
        counts = conversion.take_counts() if conversion.take_counts and last else Counter()
        converted.append(_ConvertedPart(part, text, lines, damaged, tokens, counts))
    return converted


def _convert_part(conversion: Conversion, errors: str, part: FilePart) -> tuple[bytes, int, int, int]:
    """The converted text of a part, its lines, damaged lines and tokens."""
    source, damaged = part.decode(errors, conversion.keep_line_ends)
    text, tokens = conversion.convert(source)
    if text.count("\n") != source.count("\n"):
        raise RuntimeError(f"{part}: {source.count(chr(10))} line ends became {text.count(chr(10))}")
    lines = source.count("\n") + bool(source and not source.endswith("\n"))
    return text.encode("utf-8"), lines, damaged, tokens


def _write_file(summary: FileSummary, converted_parts: Iterator[_ConvertedPart], progress: Progress) -> FileSummary:
    """Write the parts of one file as they come, and sum up."""
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
    """Write the counts if there are any, and note that the file is finished."""
    outputs, uncounted = [summary.output], Counter()
    if conversion.take_counts:
        vocabulary = Dictionary.from_counts(summary.counts)
        outputs.append(_counts_path(summary.output, conversion))
        vocabulary.export(outputs[-1])
        uncounted = summary.counts - _word_counts(vocabulary)
    task.finish(outputs, {
        "lines": summary.lines, "tokens": summary.tokens, "damaged": summary.damaged, "not in .dict": uncounted,
    })


def _summary_of_finished(task: Task, summary: FileSummary, conversion: Conversion) -> FileSummary:
    noted = task.summary
    summary.lines, summary.tokens, summary.damaged = noted["lines"], noted["tokens"], noted["damaged"]
    if conversion.take_counts:
        summary.counts = _word_counts(Dictionary.load_from_text(_counts_path(summary.output, conversion)))
        summary.counts.update(noted["not in .dict"])
    return summary


def _word_counts(vocabulary: Dictionary) -> Counter[str]:
    pairs = zip(vocabulary.tokens, vocabulary.frequencies, strict=True)
    return Counter({word: frequency for word, frequency in pairs if frequency})


def _counts_path(output: str, conversion: Conversion) -> str:
    return output.removesuffix(conversion.suffix) + ".dict"
