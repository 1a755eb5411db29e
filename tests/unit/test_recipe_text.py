"""The text of the recipes: what users' folders may look like, what is missing, and the common layout."""
import gzip
from itertools import product

import pytest

from recipes import cornell, gigaword, own
from recipes.gigaword_style import in_gigaword_style
from recipes.text_layout import SIDES, SPLITS, TextFolders, input_files, read_text, write_sentences
from src.common.errors import MassError, UsageError
from src.text.text_processing import TextProcessing


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def lines(path):
    return path.read_text().splitlines()


def numbered(name, count):
    return [f"{name} {number}" for number in range(count)]


@pytest.fixture
def corpus(tmp_path):
    """Gigaword as it is distributed, in small, partly compressed."""
    folder = tmp_path / "giga"
    write(folder / "train.article.txt.gz", numbered("article", 30) + ["article 0"])
    write(folder / "train.title.txt", numbered("title", 31))
    write(folder / "valid.article.filter.txt", numbered("valid article", 5))
    write(folder / "valid.title.filter.txt.gz", numbered("valid title", 5))
    write(folder / "input.txt", numbered("test article", 4))
    write(folder / "task1_ref0.txt", numbered("test title", 4))
    return folder


@pytest.fixture
def sentences(tmp_path):
    write(tmp_path / "news" / "one.txt", numbered("one", 450))
    write(tmp_path / "news" / "two.txt", numbered("two", 99))
    return tmp_path / "news"


def test_gigaword_is_arranged(corpus, sentences, tmp_path):
    folders = TextFolders(str(corpus), str(sentences), 20)
    gigaword.check(folders)
    report = gigaword.arrange(folders, str(tmp_path / "text"))
    text = tmp_path / "text"
    assert lines(text / "pairs" / "train.src.txt") == numbered("article", 20)
    assert lines(text / "pairs" / "test.tgt.txt") == numbered("test title", 4)
    assert lines(text / "tokenized" / "pretrain" / "texts_of_pairs.txt") == numbered("article", 20)
    assert lines(text / "tokenized" / "pretrain_valid" / "texts_of_pairs.txt") == numbered("valid article", 5)
    assert len(lines(text / "pretrain" / "one.txt")) == 446 and len(lines(text / "pretrain_valid" / "one.txt")) == 4
    assert any("20 pairs" in line for line in report)


def test_an_article_that_occurs_twice_is_read_once(corpus, tmp_path):
    gigaword.arrange(TextFolders(str(corpus)), str(tmp_path / "text"))
    assert lines(tmp_path / "text" / "tokenized" / "pretrain" / "texts_of_pairs.txt") == numbered("article", 30)
    assert not (tmp_path / "text" / "pretrain").exists()


def test_what_is_missing_is_named_with_its_source(corpus, tmp_path):
    (corpus / "input.txt").unlink()
    (corpus / "train.title.txt").unlink()
    with pytest.raises(MassError, match="lacks train.title.txt, input.txt or test.input.txt .*harvardnlp/sent"):
        gigaword.check(TextFolders(str(corpus)))
    with pytest.raises(MassError, match="does not exist; it is published at"):
        gigaword.check(TextFolders(str(tmp_path / "none")))
    with pytest.raises(MassError, match="folder of sentences"):
        write(corpus / "input.txt", [])
        write(corpus / "train.title.txt", [])
        gigaword.check(TextFolders(str(corpus), str(tmp_path / "none")))
    for recipe in (gigaword, cornell, own):
        with pytest.raises(UsageError, match="required"):
            recipe.check(TextFolders())


@pytest.mark.parametrize("train_pairs", [None, 2])
def test_sides_of_different_length_are_refused(corpus, tmp_path, train_pairs):
    write(corpus / "train.title.txt", numbered("title", 3))
    with pytest.raises(MassError, match="has 31 lines and .* has 3"):
        gigaword.arrange(TextFolders(str(corpus), None, train_pairs), str(tmp_path / "text"))


@pytest.mark.parametrize("recipe", [own, cornell, gigaword])
def test_text_of_the_pairs_is_not_taken_for_sentences(recipe, corpus, tmp_path):
    """The folder of the pairs, that folder under another name, or a link to one of its files."""
    folder = corpus if recipe is gigaword else write_pairs(tmp_path / "pairs")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "mixed").mkdir()
    write(tmp_path / "mixed" / "a.txt", numbered("a", 200))
    (tmp_path / "mixed" / "b.txt").symlink_to(next(folder.glob("*.txt")))
    for sentences in (folder, tmp_path / "link", tmp_path / "mixed"):
        with pytest.raises(UsageError, match="test text must not be pre-trained on"):
            recipe.check(TextFolders(str(folder), str(sentences)))


def test_what_a_recipe_reads_does_not_include_its_run_folder_or_other_files(corpus, sentences):
    for name in ("README.md", "run/text/pairs/train.src.txt", "run/x.txt"):
        write(corpus / name, ["a"])
    (corpus / "broken.txt").symlink_to(corpus / "nowhere")
    found = input_files(TextFolders(str(corpus), str(sentences)))
    assert len(found) == 6 + 2 and all(path.endswith((".txt", ".gz")) for path in found)


def test_many_small_files_are_one_text(tmp_path):
    for number in range(10):
        write(tmp_path / "news" / f"{number}.txt", numbered(f"document {number}", 30))
    write_sentences(str(tmp_path / "text"), str(tmp_path / "news"))
    held_out = [line for path in (tmp_path / "text" / "pretrain_valid").iterdir() for line in lines(path)]
    assert len(held_out) == 3
    write_sentences(str(tmp_path / "text"), str(tmp_path / "news"))  # a command that is typed again


def write_pairs(folder):
    for split, side in product(SPLITS, SIDES):
        write(folder / f"{split}.{side}.txt", numbered(f"{split} {side}", 6))
    return folder


def test_own_text_is_arranged(sentences, tmp_path):
    folders = TextFolders(str(write_pairs(tmp_path / "pairs")), str(sentences))
    own.check(folders)
    own.arrange(folders, str(tmp_path / "text"))
    assert lines(tmp_path / "text" / "pairs" / "valid.src.txt") == numbered("valid src", 6)
    assert {path.name: len(lines(path)) for path in (tmp_path / "text" / "pretrain").iterdir()} == {
        "one.txt": 446, "two.txt": 98, "texts_of_pairs.txt": 12}  # the 500th line is held out


@pytest.mark.parametrize("recipe", [own, cornell])
def test_pairs_alone_are_enough(recipe, tmp_path):
    folders = TextFolders(str(write_pairs(tmp_path / "pairs")))
    recipe.check(folders)
    recipe.arrange(folders, str(tmp_path / "text"))
    assert lines(tmp_path / "text" / "pretrain" / "texts_of_pairs.txt") == (numbered("train src", 6)
                                                                           + numbered("train tgt", 6))
    assert lines(tmp_path / "text" / "pretrain_valid" / "texts_of_pairs.txt") == (numbered("valid src", 6)
                                                                                 + numbered("valid tgt", 6))


def test_too_few_sentences_are_refused(tmp_path):
    write(tmp_path / "few" / "a.txt", numbered("a", 99))
    with pytest.raises(MassError, match="too few"):
        write_sentences(str(tmp_path / "text"), str(tmp_path / "few"))


def test_a_file_of_sentences_does_not_replace_the_texts_of_the_pairs(sentences, tmp_path):
    write(sentences / "texts_of_pairs.txt", numbered("other", 200))
    with pytest.raises(MassError, match="texts_of_pairs.txt' has the name of a file that the recipe makes"):
        own.arrange(TextFolders(str(write_pairs(tmp_path / "pairs")), str(sentences)), str(tmp_path / "text"))


def test_every_sentence_is_in_one_of_the_two_parts(sentences, tmp_path):
    write_sentences(str(tmp_path / "text"), str(sentences))
    found = [line for part in ("pretrain", "pretrain_valid") for path in (tmp_path / "text" / part).iterdir()
             for line in lines(path)]
    assert sorted(found) == sorted(numbered("one", 450) + numbered("two", 99))


def test_cornell_as_pairs(tmp_path):
    folders = TextFolders(str(write_pairs(tmp_path / "pairs")))
    cornell.check(folders)
    cornell.arrange(folders, str(tmp_path / "text"))
    assert lines(tmp_path / "text" / "pairs" / "train.tgt.txt") == numbered("train tgt", 6)


def test_cornell_as_published(tmp_path):
    corpus, text = tmp_path / "published", tmp_path / "text"
    utterances, conversations = [], []
    for film in range(10):
        names = [f"L{film}{number}" for number in range(4)]
        utterances += [f"{name} +++$+++ u0 +++$+++ m{film} +++$+++ BIANCA +++$+++ line {name}" for name in names]
        conversations.append(f"u0 +++$+++ u1 +++$+++ m{film} +++$+++ {names!r}")
    write(corpus / "movie_lines.txt", utterances)
    write(corpus / "movie_conversations.txt", conversations)
    text.mkdir()
    cornell.check(TextFolders(str(corpus)))
    cornell.arrange(TextFolders(str(corpus)), str(text))
    counts = {split: len(lines(text / "pairs" / f"{split}.src.txt")) for split in SPLITS}
    assert counts == {"train": 24, "valid": 3, "test": 3}
    assert {path.name for path in text.iterdir()} == {"pairs", "pretrain", "pretrain_valid"}
    (corpus / "movie_conversations.txt").unlink()
    with pytest.raises(MassError, match="neither movie_lines.txt and movie_conversations.txt.* nor all of train.src"):
        cornell.check(TextFolders(str(corpus)))


def test_compressed_text_that_is_damaged_is_an_error(tmp_path):
    write(tmp_path / "a.txt.gz", numbered("a", 1000))
    packed = (tmp_path / "a.txt.gz").read_bytes()
    for damaged in (packed[: len(packed) // 2], b"no gzip", packed[:20] + b"\xff\xff" + packed[22:]):
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        with pytest.raises(MassError, match="a.txt.gz"):
            list(read_text(str(tmp_path / "a.txt.gz")))


def test_gigaword_style_is_that_of_eval():
    """Text is spelled in training as eval.py spells raw text for the model."""
    line = "The UNK ( Inc. ) sold 1,234 shares <unk> in İstanbul [ ٣ times ] :) ."
    as_eval = TextProcessing("none", lower_case=True, digits_to_hash=True, brackets_to_names=True).encode([line]).words
    assert [in_gigaword_style(line)] == as_eval
    assert in_gigaword_style("Shares ( UNK ) fell [ 5 ]") == "shares -lrb- UNK -rrb- fell -lsb- # -rsb-"
