"""cornell_dialog.py run by a user on the published corpus: to raw text, and to records."""
import shutil
import string

import pytest

from src.dataset.records.record_set import load_records
from src.utils.byte_pair_encoding import join_subwords
from src.utils.dictionary import Dictionary
from tests.helpers.scripts import output_of, run_script
from tests.helpers.text_folder import without_packages

ARGUMENTS = ("--src_folder", "published", "--output_folder", "out")
ENCODED = (*ARGUMENTS, "--codes", "codes", "--existed_vocab", "v.bin")
SPLITS = {"train": 80, "valid": 10, "test": 10}  # pairs


def publish(folder, films, utterances=6):
    """Write a corpus in the published form, in which each utterance names its film."""
    folder.mkdir()
    rows, conversations = [], []
    for film in range(films):
        ids = [f"L{film}_{number}" for number in range(utterances)]
        rows += [f"{line} +++$+++ u0 +++$+++ m{film} +++$+++ ANN +++$+++ film {film} says caf\xe9 {number} \x97 yes"
                 for number, line in enumerate(ids)]
        conversations.append(f"u0 +++$+++ u1 +++$+++ m{film} +++$+++ {ids}")
    (folder / "movie_lines.txt").write_bytes(("\r\n".join(rows) + "\r\n").encode("iso-8859-1"))
    (folder / "movie_conversations.txt").write_text("\n".join(conversations))


@pytest.fixture
def place(tmp_path):
    """A folder with the corpus, and with codes and a vocabulary that cover all of it."""
    publish(tmp_path / "published", films=20)
    (tmp_path / "codes").write_text("#version: 0.2\ns a\ny e\nye s</w>\n")
    letters = [*string.ascii_letters, *string.digits, "\xe9", "\u2014"]
    subwords = [*letters, *(letter + "@@" for letter in letters), "sa@@", "ye@@", "yes"]
    Dictionary.from_counts(dict.fromkeys(subwords, 300)).persistence(str(tmp_path / "v.bin"))
    return tmp_path


def read(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_to_raw_text(place):
    printed = output_of("cornell_dialog.py", *ARGUMENTS, cwd=place)
    assert "20 films, 20 conversations, 120 utterances" in printed and "to make data sets, also give --codes" in printed
    assert "20 lines of UTF-8, 120 of ISO-8859-1" in printed and "120 of Windows-1252 repaired" in printed
    films = {}
    for split, count in SPLITS.items():
        assert f"out/raw/{split}.src.txt, .tgt.txt: {count} pairs\n" in printed
        sources, targets = (read(place / "out" / "raw" / f"{split}.{side}.txt") for side in ("src", "tgt"))
        assert len(sources) == count and "caf\xe9" in sources[0] and sources[0].endswith(" \u2014 yes")
        for source, target in zip(sources, targets, strict=True):
            _, film, _, _, number, *_ = source.split()
            assert target == f"film {film} says caf\xe9 {int(number) + 1} \u2014 yes"
            assert films.setdefault(film, split) == split
    assert len(films) == 20
    assert "unchanged" in output_of("cornell_dialog.py", *ARGUMENTS, cwd=place)


def test_to_records_in_one_command(place):
    run_script("cornell_dialog.py", *ENCODED, "--split", "0.5,0,0.5", "--valid_prefix", "", "--train_prefix", "learn",
               "--quiet", cwd=place)
    for split, prefix in (("train", "learn"), ("test", "test")):
        records = load_records(str(place / "out" / f"cornell_{split}_dataset.tfrecord"))
        assert len(records) == 50 and records.info.split == split
        vocabulary = Dictionary.load_from_persisted_dict(records.vocabulary_path)
        for side, column in (("src", "source"), ("tgt", "target")):
            texts = [join_subwords(vocabulary.decode(ids)) for ids in records.columns[column]]
            assert texts == read(place / "out" / "raw" / f"{prefix}.{side}.txt")
    assert not (place / "out" / "cornell_valid_dataset.tfrecord").exists()


def test_a_film_stays_out_of_the_set_of_an_earlier_split(place):
    """With another split, films of the earlier test set are in other sets."""
    run_script("cornell_dialog.py", *ENCODED, "--split", "0.8,0.1,0.1", cwd=place)
    before = sorted((place / "out").rglob("*"))
    for _ in range(2):
        done = run_script("cornell_dialog.py", *ENCODED, "--split", "0.9,0.1,0", cwd=place, code=1)
        assert "'out' holds files of an earlier test set, whose films are in another set now" in done.stderr
        assert sorted((place / "out").rglob("*")) == before
        for path in (place / "out").glob("*/test.*"):
            path.unlink()
        before = sorted((place / "out").rglob("*"))
    for path in (place / "out").glob("cornell_test*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run_script("cornell_dialog.py", *ENCODED, "--split", "0.9,0.1,0", cwd=place)


def test_without_nltk_the_tokenizer_is_named(place):
    done = run_script("cornell_dialog.py", *ENCODED, cwd=place, environment=without_packages(place, "nltk"))
    assert "nltk cannot be imported" in done.stderr and "using jieba" in done.stderr


def test_pair_files_beside_the_corpus_are_mentioned(place):
    (place / "published" / "train.src.txt").write_text("a\n")
    printed = output_of("cornell_dialog.py", *ARGUMENTS, cwd=place)
    assert "not read, because the published corpus is in the same folder: published/train.src.txt" in printed


@pytest.mark.parametrize("changes, code, complaint", [
    (("--train_prefix", ""), 2, "need 3 different prefixes"),
    (("--split", "0.8,0.1"), 2, "--split 0.8,0.1: give the shares of train, valid, test"),
    (("--split_seed", "x"), 2, "--split_seed"),
    (("--test_prefix", "a/b"), 2, "'a/b' must be a part of a file name"),
    (("--codes", "codes"), 2, "give --existed_vocab"),
    (("--codes", "none", "--existed_vocab", "v.bin"), 1, "BPE codes 'none' does not exist"),
    (("--codes", "codes", "--existed_vocab", "codes"), 1, "codes: not a vocabulary"),
    (("--codes", "codes", "--existed_vocab", "v.bin", "--src_folder", "pairs"), 2,
     "--codes is for the published corpus"),
    (("--src_folder", "unpaired"), 1, "no conversation of two or more utterances"),
    (("--src_folder", "small"), 1, "no film is left for"),
])
def test_bad_input(place, changes, code, complaint):
    publish(place / "unpaired", films=1, utterances=1)
    publish(place / "small", films=2)
    (place / "pairs").mkdir()
    assert complaint in output_of("cornell_dialog.py", *ARGUMENTS, *changes, code=code, cwd=place)
    assert not list(place.glob("out/**/*.txt")) and not list(place.glob("out/**/*.tfrecord"))
