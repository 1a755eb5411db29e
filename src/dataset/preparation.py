"""From encoded text to data sets: what news_crawl.py, gigaword.py and cornell_dialog.py have in common."""
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from src.common.arguments import RunOptions
from src.common.errors import UsageError
from src.common.files import file_digest, list_files, make_output_folder, require_file
from src.common.finished_outputs import FinishedOutputs
from src.common.progress import say
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.example_loader import ExampleLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.options import RecordOptions
from src.dataset.records.files import files_of, info_path
from src.dataset.records.info import FORMAT_VERSION, RecordInfo, summarize_records
from src.dataset.records.writer import DataSetPlan, write_data_sets
from src.utils.dictionary import Dictionary

MAX_UNKNOWN_SHARE = 0.05  # BPE leaves well under 1% unknown; more means another vocabulary or other codes
EVALUATION_SPLITS = ("valid", "test")


class PairFiles(NamedTuple):
    """The text files of one set of pairs; line i of source file j belongs to line i of target file j."""

    name: str  # of the data set, without its ending
    split: str  # "train", "valid" or "test"
    source_paths: tuple[str, ...]
    target_paths: tuple[str, ...]


class DataSet(NamedTuple):
    """A data set that is complete."""

    path: str
    info: RecordInfo
    unchanged: bool  # an earlier run made it


def make_sentence_records(src_folder: str, output_folder: str, vocabulary_path: str, mask_ratio: float, suffix: str,
                          options: RecordOptions, run: RunOptions) -> Iterator[DataSet]:
    """Make one data set of sentences of each text file of a folder, in the order of the files' names.

    Raises:
        UsageError: a number is out of its range.
        MassError: no text file, a bad one, or one of which nothing can be kept.
    """
    if not 0 < mask_ratio <= 1:
        raise UsageError(f"--mask_ratio {mask_ratio}: it must be above 0 and at most 1")
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    requests = []
    for source in list_files(src_folder, "*.txt", "source folder"):
        name = os.path.basename(source).removesuffix(".txt") + (f"_{suffix}" if suffix else "")
        loader = partial(MonoLingualDataLoader, source, vocabulary, options.max_len, options.min_len, run.errors)
        requests.append(_Request(name, (source,), loader, "pretrain", {"fragment_ratio": mask_ratio}))
    return _make(requests, output_folder, vocabulary_path, options, run)


def make_pair_records(data_sets: Sequence[PairFiles], output_folder: str, vocabulary_path: str, noise_prob: float,
                      options: RecordOptions, run: RunOptions) -> Iterator[DataSet]:
    """Make data sets of pairs; the lines of all files are counted and compared before the first one is written.

    In a training set, pairs with an empty, too short or too long side are dropped. Valid and test sets keep all
    pairs (see `BiLingualDataLoader`), and have no noise: every sentence is scored, as it stands.

    Raises:
        UsageError: a number is out of its range.
        MassError: a file is missing or bad, or a source and its target have different numbers of lines.
    """
    if not 0 <= noise_prob <= 1:
        raise UsageError(f"--noise_prob {noise_prob}: it must be from 0 to 1")
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    requests = []
    for name, split, sources, targets in data_sets:
        keep_all = split in EVALUATION_SPLITS
        loader = partial(BiLingualDataLoader, sources, targets, vocabulary, options.max_len, keep_all,
                         options.min_len, run.errors)
        requests.append(_Request(name, (*sources, *targets), loader, split,
                                 {"noise_prob": 0.0 if keep_all else noise_prob}))
    return _make(requests, output_folder, vocabulary_path, options, run)


def choose_vocabulary(existed_vocab: str | None, dict_folder: str | None, output_folder: str) -> str:
    """The path of the vocabulary to use; from `dict_folder` a new one is made in the output folder.

    The new vocabulary has the words of all `*.dict` files of the folder, and of `existed_vocab` if that is given too,
    frequencies added.
    """
    if not dict_folder:
        if not existed_vocab:
            raise UsageError("give --existed_vocab (a vocabulary) or --dict_folder (word frequencies to make one of)")
        Dictionary.load_from_persisted_dict(existed_vocab)  # a bad file is found here, before any work
        return existed_vocab
    vocabulary = Dictionary.load_from_text(list_files(dict_folder, "*.dict", "dictionary folder"))
    if existed_vocab:
        vocabulary = vocabulary.merge_dict(Dictionary.load_from_persisted_dict(existed_vocab))
    path = os.path.join(make_output_folder(output_folder), "vocabulary.dict.bin")
    vocabulary.persistence(path)
    print(f"{path}: new vocabulary of {len(vocabulary):,} symbols")
    return path


def report_data_sets(data_sets: Iterable[DataSet], quiet: bool = False) -> None:
    """Print what each data set holds once it is complete, warn of what is probably not meant, and add up.

    Quiet, only the warnings and the sum.
    """
    count = lines = kept = symbols = 0
    for path, info, unchanged in data_sets:
        if not quiet:
            say(summarize_records(f"{path}: unchanged, skipped" if unchanged else path, info))
        for warning in warnings_about(info):
            say(f"warning: {path}: {warning}", sys.stderr)
        count += 1
        lines += info.lines_read
        kept += info.kept
        symbols += sum(info.tokens.values())
    say(f"{count:,} data set{'s' * (count != 1)}: {lines:,} lines read, {kept:,} kept, {symbols:,} symbols")


def warnings_about(info: RecordInfo) -> list[str]:
    """What a user should look into before training with, or scoring on, a data set."""
    warnings = [
        f"{info.unknown_share(column):.1%} of the symbols (column {column!r}) are <unk>; was the text encoded with "
        f"other BPE codes, or not at all?"
        for column in info.columns
        if info.unknown_share(column) > MAX_UNKNOWN_SHARE
    ]
    for side in ("source", "target"):
        if count := info.flawed.get(f"empty {side}"):
            warnings.append(f"{count:,} pairs have an empty {side}; they are kept, so that record i is line i")
    if count := info.flawed.get("target truncated"):
        warnings.append(f"{count:,} targets were cut to max_len {info.max_len}, and are scored as cut; "
                        f"a larger --max_len keeps them whole")
    if count := sum(info.damaged.values()):
        warnings.append(f"{count:,} lines held undecodable bytes, which were replaced (--errors replace)")
    return warnings


@dataclass(frozen=True)
class _Request:
    """A data set that is asked for."""

    name: str
    inputs: tuple[str, ...]
    make_loader: Callable[[], ExampleLoader]  # called only if need be: it may read the files
    split: str
    masking: dict[str, float]


def _make(requests: Sequence[_Request], output_folder: str, vocabulary_path: str, options: RecordOptions,
          run: RunOptions) -> Iterator[DataSet]:
    """Make the data sets that an earlier run did not finish; yields all of them, in order, each when it is complete."""
    finished, digest = FinishedOutputs(output_folder, run.overwrite), file_digest(vocabulary_path)
    tasks, plans = {}, {}
    for request in requests:
        path = os.path.join(output_folder, f"{request.name}.{options.format}")
        inputs = [require_file(file, "text file") for file in request.inputs]
        shards = options.shards_for(sum(map(os.path.getsize, inputs)))
        tasks[path] = finished.task(os.path.basename(path), inputs, {
            "records": FORMAT_VERSION, "vocabulary": digest, "split": request.split, "masking": request.masking,
            "max_len": options.max_len, "min_len": options.min_len, "shards": shards, "errors": run.errors,
        })
        if tasks[path].summary is None:
            plans[path] = DataSetPlan(path, request.make_loader(), request.split, request.masking, shards)
    infos = write_data_sets(list(plans.values()), run.processes, run.quiet)
    for path, task in tasks.items():
        if path not in plans:
            yield DataSet(path, RecordInfo.load(path), unchanged=True)
            continue
        info = next(infos)
        task.finish([*files_of(path, info.shards).values(), info.vocabulary_path(path), info_path(path)], {})
        yield DataSet(path, info, unchanged=False)
