"""A folder with small text files, on which the tests run the scripts of text preparation, and how to run them."""
import io
import os
from pathlib import Path

from subword_nmt.learn_bpe import learn_bpe

SENTENCES = ["The lowest price, they said, was lower.", "", "Newer <unk> houses aren't cheap!", "Low prices; best."]
TOKENIZED = [
    "The lowest price , they said , was lower .",
    "",
    "Newer <unk> houses are n't cheap !",
    "Low prices ; best .",
]


def make_text_folder(folder: Path) -> Path:
    """Create raw/ and tokens/, each with train.txt and test.txt, and the file codes; return `folder`."""
    for name, lines in (("raw", SENTENCES), ("tokens", TOKENIZED)):
        (folder / name).mkdir()
        for part in ("train", "test"):
            (folder / name / f"{part}.txt").write_text("\n".join(lines * 5) + "\n", encoding="utf-8")
    with open(folder / "codes", "w", encoding="utf-8") as stream:
        learn_bpe(io.StringIO("\n".join(TOKENIZED * 5)), stream, 30)
    return folder


def list_names(folder: Path) -> list[str]:
    """Return the sorted names in a folder, without the notes on finished outputs; a missing folder has none."""
    return sorted(name for name in os.listdir(folder) if name != ".finished") if folder.exists() else []


def tokenize_command(*more: object, corpus: str = "raw", output: str = "out") -> list[object]:
    """Return the arguments of run_script for tokenize_corpus.py with two processes."""
    return ["tokenize_corpus.py", "--corpus_folder", corpus, "--output_folder", output, "--pool_size", 2, *more]


def encode_command(*more: object, codes: str = "codes", source: str = "tokens", output: str = "out") -> list[object]:
    """Return the arguments of run_script for apply_bpe_encoding.py."""
    return ["apply_bpe_encoding.py", "--codes", codes, "--src_folder", source, "--output_folder", output, *more]


def without_packages(folder: Path, *names: str) -> dict[str, str]:
    """Return an environment in which these packages cannot be imported; it uses the folder `missing` in `folder`."""
    for name in names:
        (folder / "missing").mkdir(exist_ok=True)
        (folder / "missing" / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    return {"PYTHONPATH": str(folder / "missing")}
