"""Small texts, their loaders, and records that are written as the data set scripts write them."""
from collections.abc import Iterable
from pathlib import Path

from src.common.ragged import RaggedArray
from src.dataset.bi_data_loader import BiLingualDataLoader
from src.dataset.example_loader import ExampleLoader
from src.dataset.mono_data_loader import MonoLingualDataLoader
from src.dataset.records.info import RecordInfo
from src.dataset.records.writer import DataSetPlan, write_data_sets
from src.utils.dictionary import Dictionary

SENTENCES = ["the cat sat", "a dog", "the unheard-of dog sat", "cat"]
VOCABULARY = Dictionary.from_counts({"the": 9, "a": 8, "cat": 7, "dog": 6, "sat": 5})  # ids 5 to 9
LINES = [" ".join(["the", "a", "cat", "dog", "sat"][(number + place) % 5] for place in range(1 + number % 4))
         for number in range(23)]
RATIO, NOISE = {"fragment_ratio": 0.5}, {"noise_prob": 0.1}


def write_records(path: str, loader: ExampleLoader, split: str, masking: dict[str, float],
                  shards: int = 1) -> RecordInfo:
    """Write one data set in this process and return its description; see `DataSetPlan` for the arguments."""
    (info,) = write_data_sets([DataSetPlan(path, loader, split, masking, shards)], quiet=True)
    return info


def sentence_loader(folder: Path, lines: Iterable[str] = SENTENCES, vocabulary: Dictionary = VOCABULARY,
                    **options) -> MonoLingualDataLoader:
    """Write lines to text.txt in a folder and return a loader for them."""
    path = folder / "text.txt"
    path.write_text("".join(line + "\n" for line in lines))
    return MonoLingualDataLoader(str(path), vocabulary, **options)


def pair_loader(folder: Path) -> BiLingualDataLoader:
    """Write SENTENCES as sources and in reverse order as targets, and return a loader for the pairs."""
    for name, lines in (("source.txt", SENTENCES), ("target.txt", reversed(SENTENCES))):
        (folder / name).write_text("\n".join(lines))
    return BiLingualDataLoader(str(folder / "source.txt"), str(folder / "target.txt"), VOCABULARY)


def write_shards(folder: Path, record_format: str, shards: int) -> str:
    """Write LINES as a data set in the subfolder `out` and return its path."""
    path = str(folder / "out" / f"x.{record_format}")
    write_records(path, sentence_loader(folder, LINES), "pretrain", RATIO, shards)
    return path


def sequences_of(blocks: Iterable[dict[str, RaggedArray]], column: str) -> list[list[int]]:
    """Return the sequences of a column in all blocks."""
    return [sequence.tolist() for block in blocks for sequence in block[column]]
