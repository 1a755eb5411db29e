"""Makes data sets from encoded text: what news_crawl.py, gigaword.py and cornell_dialog.py have in common."""
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from src.common.arguments import RunOptions
from src.common.errors import UsageError
from src.common.files import file_digest, list_files, require_file
from src.common.finished_outputs import FinishedOutputs
from src.common.folder_lock import locked_folder
from src.common.output_checks import require_different_files
from src.common.progress import say
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.example_loader import ExampleLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.options import RecordOptions
from src.dataset.records.files import files_of, info_path
from src.dataset.records.info import FORMAT_VERSION, RecordInfo
from src.dataset.records.writer import DataSetPlan, write_data_sets
from src.dataset.report import DataSet
from src.utils.dictionary import Dictionary
from src.utils.vocabulary_tools import build, describe_replacement, vocabulary_to_replace

EVALUATION_SPLITS = ("valid", "test")


class PairFiles(NamedTuple):
    """The text files of one set of pairs; line i of source file j belongs to line i of target file j."""

    name: str  # the name of the data set, without its ending
    split: str  # "train", "valid" or "test"
    source_paths: tuple[str, ...]
    target_paths: tuple[str, ...]


def make_sentence_records(src_folder: str, output_folder: str, vocabulary_path: str, mask_ratio: float, suffix: str,
                          options: RecordOptions, run: RunOptions) -> Iterator[DataSet]:
    """Make a data set of sentences from each text file of a folder and yield it, in the order of the files' names.

    Raises:
        UsageError: a number is out of range.
        MassError: there is no text file, or a file is bad or yields no example.
    """
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    requests = []
    for source in check_sentences(src_folder, mask_ratio):
        name = os.path.basename(source).removesuffix(".txt") + (f"_{suffix}" if suffix else "")
        loader = partial(MonoLingualDataLoader, source, vocabulary, options.max_len, options.min_len, run.errors)
        requests.append(_Request(name, (source,), loader, "pretrain", {"fragment_ratio": mask_ratio}))
    return _make(requests, output_folder, vocabulary_path, options, run)


def check_sentences(src_folder: str, mask_ratio: float) -> list[str]:
    """Return the text files of a folder.

    Raises:
        UsageError: `mask_ratio` is out of range.
        MassError: there is no text file.
    """
    if not 0 < mask_ratio <= 1:
        raise UsageError(f"--mask_ratio {mask_ratio}: it must be above 0 and at most 1")
    return list_files(src_folder, "*.txt", "source folder")


def make_pair_records(data_sets: Sequence[PairFiles], output_folder: str, vocabulary_path: str, noise_prob: float,
                      options: RecordOptions, run: RunOptions) -> Iterator[DataSet]:
    """Make data sets of pairs and yield each; the lines of all files are compared before the first set is written.

    In a training set, pairs with an empty, too short or too long side are dropped. Valid and test sets keep all pairs
    (see `BiLingualDataLoader`) and have no noise, because every sentence is scored as it is.

    Raises:
        UsageError: a number is out of range.
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
    """Return the path of the vocabulary to use; with `dict_folder`, a new one is written to the output folder.

    The new vocabulary has the tokens of all `*.dict` files of the folder and of `existed_vocab`, if that is given too;
    their frequencies are added up.

    Raises:
        UsageError: neither a vocabulary nor a folder is given, or the new vocabulary would replace an old one that it
            is made from.
        MassError: a file is missing or bad.
    """
    if not dict_folder:
        if not existed_vocab:
            raise UsageError("give --existed_vocab (a vocabulary) or --dict_folder (word frequencies to make one from)")
        Dictionary.load_from_persisted_dict(existed_vocab)  # so that a bad file is found before any work is done
        return existed_vocab
    path = os.path.join(output_folder, "vocabulary.dict.bin")
    counts = list_files(dict_folder, "*.dict", "dictionary folder")
    require_different_files([("--existed_vocab", existed_vocab), *(("a file of frequencies", file) for file in counts)],
                            [("the new vocabulary", path)])
    vocabulary = build(counts)
    if existed_vocab:
        vocabulary = vocabulary.merge_dict(Dictionary.load_from_persisted_dict(existed_vocab))
    with locked_folder(output_folder):
        earlier = vocabulary_to_replace(path, "the new vocabulary")
        vocabulary.persistence(path)
    say("\n".join([f"{path}: new vocabulary of {len(vocabulary):,} tokens",
                   *describe_replacement(earlier, vocabulary)]))
    return path


@dataclass(frozen=True)
class _Request:
    """A data set that the user asked for."""

    name: str
    inputs: tuple[str, ...]
    make_loader: Callable[[], ExampleLoader]  # called only for a set that is to be made, because it may read the files
    split: str
    masking: dict[str, float]


def _make(requests: Sequence[_Request], output_folder: str, vocabulary_path: str, options: RecordOptions,
          run: RunOptions) -> Iterator[DataSet]:
    """Make the data sets that no earlier run finished; yield all of them in order, each when it is complete.

    The output folder is locked meanwhile.
    """
    with locked_folder(output_folder):
        yield from _make_in_locked(requests, output_folder, vocabulary_path, options, run)


def _make_in_locked(requests: Sequence[_Request], output_folder: str, vocabulary_path: str, options: RecordOptions,
                    run: RunOptions) -> Iterator[DataSet]:
    finished, digest = FinishedOutputs(output_folder, run.overwrite), file_digest(vocabulary_path)
    tasks, plans = {}, {}
    for request in requests:
        path = os.path.join(output_folder, f"{request.name}.{options.format}")
        inputs = [require_file(file, "text file") for file in request.inputs]
        shards = options.shards_for(sum(map(os.path.getsize, inputs)))
        require_different_files(
            [("a source text", file) for file in inputs] + [("the vocabulary", vocabulary_path)],
            [("a file of the data set", file) for file in (info_path(path), *files_of(path, shards).values())])
        tasks[path] = finished.task(os.path.basename(path), inputs, {
            "records": FORMAT_VERSION, "vocabulary": digest, "split": request.split, "masking": request.masking,
            "max_len": options.max_len, "min_len": options.min_len, "shards": shards, "errors": run.errors,
        })
        if tasks[path].summary is None:
            plans[path] = DataSetPlan(path, request.make_loader(), request.split, request.masking, shards)
    for line in finished.warnings([os.path.basename(path) for path in tasks]):
        say(line, sys.stderr)
    infos = write_data_sets(list(plans.values()), run.processes, run.quiet)
    for path, task in tasks.items():
        if path not in plans:
            yield DataSet(path, RecordInfo.load(path), unchanged=True)
            continue
        info = next(infos)
        task.finish([*files_of(path, info.shards).values(), info.vocabulary_path(path), info_path(path)], {})
        yield DataSet(path, info, unchanged=False)
