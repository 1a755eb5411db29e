"""From encoded text to data sets: what news_crawl.py, gigaword.py and cornell_dialog.py have in common."""
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.record_info import RecordInfo, summarize
from src.dataset.records import write_records
from src.utils.dictionary import Dictionary
from src.utils.errors import UsageError
from src.utils.files import list_files, make_output_folder
from src.utils.parallel import map_in_order, require_processes

MAX_UNKNOWN_SHARE = 0.05  # BPE leaves well under 1% unknown; more means another vocabulary or other codes
EVALUATION_SPLITS = ("valid", "test")


@dataclass(frozen=True)
class PairFiles:
    """The text files of one set of pairs; line i of source file j belongs to line i of target file j."""

    name: str  # of the record file, without its ending
    split: str  # "train", "valid" or "test"
    source_paths: tuple[str, ...]
    target_paths: tuple[str, ...]


def make_sentence_records(
    src_folder: str, output_folder: str, vocabulary_path: str, mask_ratio: float, max_len: int, suffix: str,
    record_format: str, processes: int,
) -> Iterator[tuple[str, RecordInfo]]:  # fmt: skip
    """Make one data set of sentences of each text file of a folder, several files at a time.

    Yields the record file and its description when it is complete, in the order of the text files' names.

    Raises:
        UsageError: a number is out of its range.
        MassError: no text file, a bad one, or one of which nothing can be kept.
    """
    require_processes(processes, "--processes")
    if not 0 < mask_ratio <= 1:
        raise UsageError(f"--mask_ratio {mask_ratio}: it must be above 0 and at most 1")
    sources = list_files(src_folder, "*.txt", "source folder")
    make_output_folder(output_folder)
    jobs = []
    for source in sources:
        name = os.path.basename(source).removesuffix(".txt") + (f"_{suffix}" if suffix else "")
        jobs.append((source, os.path.join(output_folder, f"{name}.{record_format}")))
    processes = min(processes, len(jobs))
    convert = partial(_convert_sentences, vocabulary_path=vocabulary_path, max_len=max_len,
                      masking={"fragment_ratio": mask_ratio}, progress=processes == 1)
    done = tqdm(map_in_order(convert, jobs, processes), total=len(jobs), desc="data sets", unit=" files",
                leave=False, disable=None if processes > 1 else True)
    return zip((path for _, path in jobs), done, strict=True)


def make_pair_records(
    data_sets: Sequence[PairFiles], output_folder: str, vocabulary_path: str, noise_prob: float, max_len: int,
    record_format: str,
) -> Iterator[tuple[str, RecordInfo]]:  # fmt: skip
    """Make data sets of pairs; the lines of all files are counted and compared before the first one is written.

    In a training set, pairs with an empty or too long side are dropped. Valid and test sets keep all
    pairs (see `BiLingualDataLoader`), and have no noise: every sentence is scored, as it stands.

    Yields the record file and its description when it is complete.

    Raises:
        UsageError: a number is out of its range.
        MassError: a file is missing or bad, or a source and its target have different numbers of lines.
    """
    if not 0 <= noise_prob <= 1:
        raise UsageError(f"--noise_prob {noise_prob}: it must be from 0 to 1")
    vocabulary = Dictionary.load_from_persisted_dict(vocabulary_path)
    loaders = [
        BiLingualDataLoader(files.source_paths, files.target_paths, vocabulary, max_len,
                            keep_all=files.split in EVALUATION_SPLITS)
        for files in data_sets
    ]  # fmt: skip
    make_output_folder(output_folder)
    for files, loader in zip(data_sets, loaders, strict=True):
        path = os.path.join(output_folder, f"{files.name}.{record_format}")
        masking = {"noise_prob": 0.0 if loader.keep_all else noise_prob}
        yield path, write_records(path, loader, files.split, masking)


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


def report(path: str, info: RecordInfo) -> None:
    """Print what a data set holds, and warn of what is probably not meant."""
    tqdm.write(summarize(path, info))  # print, but around a progress bar
    for warning in warnings_about(info):
        tqdm.write(f"warning: {path}: {warning}", file=sys.stderr)


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
    return warnings


def _convert_sentences(
    job: tuple[str, str], vocabulary_path: str, max_len: int, masking: dict[str, float], progress: bool
) -> RecordInfo:
    source, path = job
    loader = MonoLingualDataLoader(source, Dictionary.load_from_persisted_dict(vocabulary_path), max_len)
    return write_records(path, loader, "pretrain", masking, progress)
