"""tokenize_corpus.py, learn_subword.sh and apply_bpe_encoding.py as a user runs them, on text made here."""
import io
import os
import pickle
import platform
import signal
from collections import Counter
from pathlib import Path

import pytest
from subword_nmt.learn_bpe import learn_bpe

from src.utils import Dictionary
from tests.helpers.scripts import run_script, start_script

SENTENCES = ["The lowest price, they said, was lower.", "", "Newer <unk> houses aren't cheap!", "Low prices; best."]
TOKENIZED = [
    "The lowest price , they said , was lower .",
    "",
    "Newer <unk> houses are n't cheap !",
    "Low prices ; best .",
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder with raw/, tokens/ and codes."""
    for name, lines in (("raw", SENTENCES), ("tokens", TOKENIZED)):
        (tmp_path / name).mkdir()
        for part in ("train", "test"):
            (tmp_path / name / f"{part}.txt").write_text("\n".join(lines * 5) + "\n", encoding="utf-8")
    with open(tmp_path / "codes", "w", encoding="utf-8") as stream:
        learn_bpe(io.StringIO("\n".join(TOKENIZED * 5)), stream, 30)
    return tmp_path


def files(path: Path) -> list[str]:
    """The names in a folder, but for the notes on finished files."""
    return sorted(name for name in os.listdir(path) if name != ".finished") if path.exists() else []


# tokenize_corpus.py


def tokenize(folder, *more, corpus="raw", output="out"):
    return ["tokenize_corpus.py", "--corpus_folder", corpus, "--output_folder", output, "--pool_size", 2, *more]


def test_tokenize_writes_one_line_for_each_line(folder):
    (folder / "more").mkdir()
    (folder / "more" / "extra.txt").write_bytes("\ufeffone\u2028two\r\nthree".encode())
    printed = run_script(*tokenize(folder, corpus="raw,more"), cwd=folder).stdout
    assert files(folder / "out") == ["extra_tokenized.txt", "test_tokenized.txt", "train_tokenized.txt"]
    assert (folder / "out" / "train_tokenized.txt").read_text(encoding="utf-8").split("\n") == [*TOKENIZED * 5, ""]
    assert (folder / "out" / "extra_tokenized.txt").read_bytes() == b"one two\nthree\n"
    assert "train_tokenized.txt: 20 lines, 110 tokens" in printed
    assert "all files -> out: 42 lines, 223 tokens" in printed


def test_processes_is_an_alias_of_pool_size(folder):
    """One process gives the same output as several; with --quiet, the printed totals show that the run succeeded."""
    run_script(*tokenize(folder), cwd=folder)
    command = ["tokenize_corpus.py", "--corpus_folder", "raw", "--output_folder", "one", "--processes"]
    assert "--processes" in run_script(*command, cwd=folder, code=2).stderr
    assert "all files -> one: 40 lines" in run_script(*command, 1, "--quiet", cwd=folder).stdout
    for name in files(folder / "out"):
        assert (folder / "one" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_tokenize_with_jieba(folder):
    (folder / "raw" / "train.txt").write_text("他来到北京。\n", encoding="utf-8")
    run_script(*tokenize(folder, "--tokenizer", "jieba"), cwd=folder)
    assert (folder / "out" / "train_tokenized.txt").read_text(encoding="utf-8") == "他 来到 北京 。\n"


def without_packages(folder, *names) -> dict[str, str]:
    """An environment in which these packages cannot be imported."""
    for name in names:
        (folder / "missing").mkdir(exist_ok=True)
        (folder / "missing" / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    return {"PYTHONPATH": str(folder / "missing")}


def test_tokenize_falls_back_to_jieba_and_says_so(folder):
    result = run_script(*tokenize(folder), cwd=folder, environment=without_packages(folder, "nltk"))
    assert "nltk cannot be imported" in result.stderr and "using jieba" in result.stderr
    assert files(folder / "out") == ["test_tokenized.txt", "train_tokenized.txt"]


def test_tokenize_without_any_tokenizer(folder):
    done = run_script(*tokenize(folder), cwd=folder, code=1, environment=without_packages(folder, "nltk", "jieba"))
    assert "pip install nltk jieba" in done.stderr
    assert files(folder / "out") == []


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "--corpus_folder"),
        (["--corpus_folder", "raw"], 2, "--output_folder"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--tokenizer", "spacy"], 2, "'nltk', 'jieba'"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--pool_size", "0"], 2, "--pool_size 0"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--pool_size", "two"], 2, "--pool_size"),
        (["--corpus_folder", "raw", "--output_folder", "out", "--processes", "two"], 2, "--processes"),
        (["--corpus_folder", ",", "--output_folder", "out"], 2, "no source folder"),
        (["--corpus_folder", "nowhere", "--output_folder", "out"], 1, "'nowhere' does not exist"),
        (["--corpus_folder", "codes", "--output_folder", "out"], 1, "'codes' is a file"),
        (["--corpus_folder", "raw,empty", "--output_folder", "out"], 1, "'empty' holds no file named *.txt"),
        (["--corpus_folder", "bytes", "--output_folder", "out"], 1, "bytes/latin.txt, line 2: not UTF-8"),
        (["--corpus_folder", "hollow", "--output_folder", "out"], 1, "no text"),
        (["--corpus_folder", "blank", "--output_folder", "out"], 1, "no token"),
        (["--corpus_folder", "raw,raw", "--output_folder", "out"], 2, "raw/test.txt"),
        (["--corpus_folder", "raw", "--output_folder", "./raw/"], 2, "output folder"),
        (["--corpus_folder", "raw", "--output_folder", "codes"], 2, "'codes' is a file"),
        (["--corpus_folder", "raw", "--output_folder", "codes/out"], 1, "cannot be created"),
    ],
)
def test_tokenize_refuses_bad_input(folder, arguments, code, message):
    for name, content in (("bytes/latin.txt", b"fine\ncaf\xe9\n"), ("hollow/a.txt", b""), ("blank/a.txt", b" \n\n")):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    before = files(folder / "raw")
    assert message in run_script("tokenize_corpus.py", *arguments, cwd=folder, code=code).stderr
    assert files(folder / "raw") == before
    assert files(folder / "out") == (["a_tokenized.txt"] if "blank" in arguments else [])


# scripts/learn_subword.sh


def test_learn_subword_learns_what_subword_nmt_learns(folder):
    expected = io.StringIO()
    learn_bpe(io.StringIO("\n".join(TOKENIZED * 10).replace("<unk>", "")), expected, 20)
    (folder / "tokens" / "notes.md").write_text("not text to learn from " * 100)
    (folder / "tokens" / "test.txt").write_text("\n".join(TOKENIZED * 5))  # no final newline
    for output in ("codes1", "new/codes2"):
        done = run_script("scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", output, cwd=folder)
        assert f"{output}: 20 merges" in done.stdout
        assert (folder / output).read_text(encoding="utf-8") == expected.getvalue()
    assert files(folder / "new") == ["codes2"]


def test_learn_subword_stops_when_nothing_repeats(folder):
    printed = run_script("scripts/learn_subword.sh", "--output", "c", "tokens", cwd=folder).stdout
    assert (folder / "c").read_text().count("\n") - 1 == int(printed.split()[1]) < 46000


def test_learn_subword_does_not_learn_the_same_again(folder):
    learn = ["scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", "new/c", "--quiet"]
    printed = run_script(*learn, cwd=folder).stdout
    before = (folder / "new" / "c").stat().st_mtime_ns
    assert run_script(*learn, cwd=folder).stdout == printed.replace("words\n", "words, unchanged and skipped\n")
    assert (folder / "new" / "c").stat().st_mtime_ns == before
    assert run_script(*learn, "--overwrite", cwd=folder).stdout == printed
    assert "skipped" not in run_script(*learn, "--symbols", 10, cwd=folder).stdout
    assert (folder / "new" / "c").read_text().count("\n") == 11
    (folder / "tokens" / "test.txt").write_text("low lower\n" * 9)
    assert "skipped" not in run_script(*learn, "--symbols", 10, cwd=folder).stdout


def test_learn_subword_reads_damaged_text_if_told_to(folder):
    (folder / "tokens" / "train.txt").write_bytes(b"caf\xe9 " * 99 + b"\n")
    learn = ["scripts/learn_subword.sh", "tokens", "--symbols=20", "--output", "c", "--errors", "replace", "--quiet"]
    result = run_script(*learn, "--processes", 1, cwd=folder)
    assert "1 lines of tokens hold bytes that are not UTF-8" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "\ufffd" in (folder / "c").read_text(encoding="utf-8")


def test_learn_subword_help(folder):
    for flag in ("-h", "--help"):
        printed = run_script("scripts/learn_subword.sh", flag, cwd=folder).stdout
        assert printed.startswith("usage: sh learn_subword.sh ") and "(default: 46000)" in printed
        assert all(name in printed for name in ("SRC_FOLDER", "--symbols N", "--output FILE", "--processes N"))


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "arguments are required: SRC_FOLDER"),
        ([""], 2, "argument SRC_FOLDER: the value is empty"),
        (["tokens", "raw"], 2, "unrecognized arguments: raw"),
        (["tokens", "--symbol", "3"], 2, "unrecognized arguments: --symbol 3"),
        (["tokens", "--symbols"], 2, "argument --symbols: expected one argument"),
        (["tokens", "--symbols", "0"], 2, "argument --symbols: '0' is not a whole number of 1 or more"),
        (["tokens", "--symbols", "-5"], 2, "argument --symbols: '-5' is not a whole number of 1 or more"),
        (["tokens", "--symbols", "1e3"], 2, "argument --symbols: '1e3' is not a whole number of 1 or more"),
        (["tokens", "--processes", "0"], 2, "--processes 0: give 1 process or more"),
        (["tokens", "--errors=ignore"], 2, "argument --errors: invalid choice: 'ignore'"),
        (["tokens", "--output"], 2, "argument --output: expected one argument"),
        (["tokens", "--output="], 2, "argument --output: the value is empty"),
        (["nowhere"], 1, "'nowhere' does not exist"),
        (["empty"], 1, "'empty' holds no file named *.txt"),
        (["bytes"], 1, "bytes/latin.txt, line 2: not UTF-8"),
        (["letters"], 1, "no word of two letters"),
        (["once"], 1, "no pair of letters occurs twice"),
        (["tokens", "--output", "raw"], 1, "'raw' is a folder"),
        (["tokens", "--output", "kept/codes"], 1, "cannot be created"),
    ],
)
def test_learn_subword_refuses_bad_input(folder, arguments, code, message):
    for name, content in (("bytes", b"fine\ncaf\xe9\n"), ("letters", b"a b c\n"), ("once", b"abc\n"), ("empty", None)):
        (folder / name).mkdir()
        if content is not None:
            (folder / name / "latin.txt").write_bytes(content)
    (folder / "kept").write_text("a file")
    before = files(folder)
    if code == 1 and "--output" not in arguments:
        arguments = [*arguments, "--output", "out/codes"]
    complaint = run_script("scripts/learn_subword.sh", *arguments, cwd=folder, code=code).stderr
    assert message in complaint and "learn_subword.sh: error: " in complaint
    assert files(folder / "out") == []
    assert [name for name in files(folder) if name != "out"] == before


def test_learn_subword_keeps_earlier_codes_when_it_fails(folder):
    (folder / "tokens" / "train.txt").write_bytes(b"\xff\n")
    before = (folder / "codes").read_bytes()
    run_script("scripts/learn_subword.sh", "tokens", "--output", "codes", cwd=folder, code=1)
    assert (folder / "codes").read_bytes() == before


# apply_bpe_encoding.py


def encode(*more, codes="codes", source="tokens", output="out"):
    return ["apply_bpe_encoding.py", "--codes", codes, "--src_folder", source, "--output_folder", output, *more]


def test_encode_writes_text_counts_and_vocabulary(folder):
    printed = run_script(*encode("--vocab_path", "vocab/v.dict.bin", "--threshold", 5), cwd=folder).stdout
    assert files(folder / "out") == ["test.dict", "test_bpe.txt", "train.dict", "train_bpe.txt"]
    encoded = (folder / "out" / "train_bpe.txt").read_text(encoding="utf-8")
    assert encoded.replace("@@ ", "").split("\n") == [*TOKENIZED * 5, ""]

    counts = Counter(encoded.split())
    unknown = counts.pop("<unk>")
    one = Dictionary.load_from_text(str(folder / "out" / "train.dict"))
    assert dict(zip(one.tokens[5:], one.frequencies[5:], strict=True)) == counts

    both = Dictionary.load_from_text([str(folder / "out" / f"{name}.dict") for name in ("train", "test")])
    vocabulary = Dictionary.load_from_persisted_dict(str(folder / "vocab" / "v.dict.bin"))
    assert vocabulary.tokens == both.shrink(5).tokens
    assert vocabulary.fingerprint in printed
    assert f"{len(vocabulary)} tokens, from" in printed
    lost = sum(both.frequencies[len(vocabulary) :]) + 2 * unknown
    assert f"{lost} become <unk> ({2 * unknown} of them" in printed


def test_counts_of_odd_white_space_can_be_read_back(folder):
    (folder / "tokens" / "test.txt").write_bytes("low\u00a0price \u00a0 lower\x85 \t <unk>\r\n".encode() * 9)
    run_script(*encode("--vocab_path", "v.bin"), cwd=folder)
    assert (folder / "out" / "test_bpe.txt").read_bytes().count(b"\n") == 9
    words = Dictionary.load_from_text(str(folder / "out" / "test.dict")).tokens[5:]
    assert words and not any(word.isspace() for word in words)


def test_encode_only_the_files_with_a_prefix(folder):
    printed = run_script(*encode("--prefix", "tr"), cwd=folder).stdout
    assert files(folder / "out") == ["train.dict", "train_bpe.txt"]
    assert "no vocabulary was built" in printed


def test_encode_replaces_a_vocabulary_only_when_it_succeeds(folder):
    old = Dictionary.from_counts({"old": 1})
    old.persistence(str(folder / "v.bin"))
    before = (folder / "v.bin").read_bytes()
    (folder / "tokens" / "z.txt").write_bytes(b"\xff\n")
    assert "z.txt, line 1" in run_script(*encode("--vocab_path", "v.bin"), cwd=folder, code=1).stderr
    assert (folder / "v.bin").read_bytes() == before
    printed = run_script(*encode("--vocab_path", "v.bin", "--prefix", "t"), cwd=folder).stdout
    assert "replaces a different vocabulary" in printed
    assert Dictionary.load_from_persisted_dict(str(folder / "v.bin")).fingerprint != old.fingerprint


@pytest.mark.parametrize("processes", [1, 3])
def test_encode_gives_the_same_bytes_with_any_number_of_processes(folder, processes):
    for output, count in (("two", 2), ("other", processes)):
        run_script(*encode("--processes", count, "--vocab_path", f"{output}.bin", output=output), cwd=folder)
    for name in files(folder / "two"):
        assert (folder / "two" / name).read_bytes() == (folder / "other" / name).read_bytes()
    assert (folder / "two.bin").read_bytes() == (folder / "other.bin").read_bytes()


@pytest.mark.parametrize(
    "change, code, message",
    [
        ({"codes": "nowhere"}, 1, "BPE codes 'nowhere' does not exist"),
        ({"codes": "raw"}, 1, "is a folder"),
        ({"codes": "raw/train.txt"}, 1, "line 1"),
        ({"source": "nowhere"}, 1, "'nowhere' does not exist"),
        ({"source": "empty"}, 1, "holds no file named *.txt"),
        ({"source": "bytes"}, 1, "bytes/latin.txt, line 2: not UTF-8"),
        ({"source": "hollow"}, 1, "no text"),
        ({"output": "tokens"}, 2, "output folder"),
        ({"output": "codes"}, 2, "'codes' is a file"),
        ({"more": ["--prefix", "valid"]}, 1, "holds no file named valid*.txt"),
        ({"more": ["--processes", "0"]}, 2, "--processes 0"),
        ({"more": ["--threshold", "5"]}, 2, "--vocab_path"),
        ({"more": ["--threshold", "-1", "--vocab_path", "v.bin"]}, 2, "--threshold -1"),
        ({"more": ["--threshold", "few", "--vocab_path", "v.bin"]}, 2, "--threshold"),
        ({"more": ["--vocab_path", "raw"]}, 1, "raw"),
        ({"more": ["--vocab_path", "codes"]}, 1, "not overwritten"),
        ({"more": ["--vocab_path", "pickle.bin"]}, 1, "pickle"),
        ({"more": ["--vocab_path", "codes/v.bin"]}, 2, "'codes' is a file"),
    ],
)
def test_encode_refuses_bad_input(folder, change, code, message):
    for name, content in (("bytes/latin.txt", b"fine\ncaf\xe9\n"), ("hollow/a.txt", b"")):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "pickle.bin").write_bytes(pickle.dumps({"a": 1}))
    before = files(folder)
    assert message in run_script(*encode(*change.pop("more", []), **change), cwd=folder, code=code).stderr
    assert files(folder / "out") == []
    assert [name for name in files(folder) if name != "out"] == before
    assert files(folder / "tokens") == ["test.txt", "train.txt"]


@pytest.mark.parametrize("script", ["tokenize", "encode"])
def test_undecodable_bytes_are_replaced_and_counted_if_wanted(folder, script):
    (folder / "raw" / "test.txt").write_bytes(b"caf\xe9 (\xff)\nfine\n\xe2\x80\n")
    command = tokenize(folder) if script == "tokenize" else encode(source="raw")
    message = run_script(*command, cwd=folder, code=1).stderr
    assert "raw/test.txt, line 1: not UTF-8 (byte 0xe9 at column 4)" in message and "--errors replace" in message
    printed = run_script(*command, "--errors", "replace", cwd=folder).stdout
    assert printed.count("2 lines with bytes that are not UTF-8") == 2  # of the file, and in the total
    output = "test_tokenized.txt" if script == "tokenize" else "test_bpe.txt"
    lines = (folder / "out" / output).read_text(encoding="utf-8").split("\n")
    assert len(lines) == 4 and lines[0].count("\ufffd") == 2 and lines[2] == "\ufffd"
    repeated = run_script(*command, "--errors", "replace", cwd=folder).stdout
    assert "2 lines with bytes that are not UTF-8 (now U+FFFD), unchanged and skipped" in repeated
    run_script(*command, cwd=folder, code=1)  # what was made of the file is not what is asked for now


def test_quiet_prints_the_totals_only(folder):
    for command, lines in ((tokenize(folder), 1), (encode("--vocab_path", "v.bin", output="bpe"), 4)):
        result = run_script(*command, "--quiet", cwd=folder)
        assert result.stderr == ""
        assert len(result.stdout.splitlines()) == lines and result.stdout.startswith("all files")


def test_a_machine_without_a_compiler_gets_the_same_bpe_and_a_line_that_says_why(folder):
    fast = run_script(*encode("--vocab_path", "fast.bin", output="fast"), cwd=folder)
    slow = run_script(*encode("--vocab_path", "slow.bin", output="slow"), cwd=folder,
                      environment={"CC": "/nonexistent/cc"})
    assert slow.stderr.count("slower: no C compiler found") == 1 and fast.stderr == ""
    for name in files(folder / "fast"):
        assert (folder / "fast" / name).read_bytes() == (folder / "slow" / name).read_bytes()


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in files(folder)}


def test_a_repeated_run_makes_only_what_has_changed(folder):
    command = encode("--vocab_path", "v.bin")
    run_script(*command, cwd=folder)
    before, vocabulary = times(folder / "out"), (folder / "v.bin").read_bytes()

    printed = run_script(*command, cwd=folder).stdout
    assert printed.count("unchanged and skipped") == 3 and "(2 files)" in printed
    assert times(folder / "out") == before
    assert (folder / "v.bin").read_bytes() == vocabulary  # from the counts of the run before

    with open(folder / "tokens" / "test.txt", "a") as stream:  # an input
        stream.write("one more line\n")
    (folder / "out" / "train.dict").unlink()  # an output
    printed = run_script(*command, cwd=folder).stdout
    assert "skipped" not in printed
    assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 21
    assert files(folder / "out") == ["test.dict", "test_bpe.txt", "train.dict", "train_bpe.txt"]

    for note in (folder / "out" / ".finished").iterdir():
        note.write_bytes(note.read_bytes()[: 40 if "test" in note.name else -1] + b"x")
    assert "skipped" not in run_script(*command, cwd=folder).stdout
    assert "skipped" not in run_script(*command, "--overwrite", cwd=folder).stdout
    assert run_script(*command, cwd=folder).stdout.count("skipped") == 3
    with open(folder / "codes", "a") as stream:  # a setting
        stream.write("z z\n")
    assert "skipped" not in run_script(*command, cwd=folder).stdout


def test_tokens_of_another_tokenizer_are_not_taken_for_finished(folder):
    run_script(*tokenize(folder), cwd=folder)
    assert "skipped" not in run_script(*tokenize(folder, "--tokenizer", "jieba"), cwd=folder).stdout
    assert run_script(*tokenize(folder, "--tokenizer", "jieba"), cwd=folder).stdout.count("skipped") == 3


def test_a_killed_run_leaves_no_incomplete_file_and_the_next_one_cleans_up(folder):
    """The first file is complete and the second one, from a writer that is never done, is not."""
    (folder / "tokens" / "a.txt").write_text("low lower lowest\n")
    os.remove(folder / "tokens" / "train.txt")
    (folder / "tokens" / "test.txt").write_text("low lower lowest\n" * 300_000)
    arguments = encode("--processes", 2)
    process = start_script(*arguments, cwd=folder, start_new_session=True)
    assert "a_bpe.txt" in process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()  # until the workers have ended too
    process.wait()
    left = files(folder / "out")
    assert "a_bpe.txt" in left
    if "test_bpe.txt" in left:  # it was quicker than the kill
        assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 300_000

    (folder / "out" / f".partial-{platform.node()}-{process.pid}-abcdefgh").mkdir(exist_ok=True)
    (folder / "out" / f".partial-{platform.node()}-{os.getpid()}-abcdefgh").mkdir()  # of a process that lives
    printed = run_script(*arguments, cwd=folder).stdout
    assert "a_bpe.txt: 1 lines, " in printed and "unchanged and skipped" in printed
    hidden = [name for name in files(folder / "out") if name.startswith(".")]
    assert hidden == [f".partial-{platform.node()}-{os.getpid()}-abcdefgh"]
    assert (folder / "out" / "test_bpe.txt").read_text().count("\n") == 300_000


@pytest.mark.parametrize("processes", [1, 2])
def test_no_dirt_shifts_a_line(folder, processes):
    """Windows line ends, a byte-order mark, separators and control characters inside lines, a megabyte line, no end."""
    source = ["\ufefffirst\r", "", "a\u2028b\x85c\x0bd\x1ce\rf", "\x00\x07", " " * 50, "x" * 500_000 + " y" * 250_000,
              "\u3000\r", "<unk>\tUNK</s>", "\ufeff", "last"]
    for name in ("test", "train"):
        (folder / "raw" / f"{name}.txt").write_bytes("\n".join(source).encode())
    run_script(*tokenize(folder, "--pool_size", processes, output="t"), cwd=folder)
    run_script(*encode("--processes", processes, source="t", output="e"), cwd=folder)
    for path in (folder / "t" / "test_tokenized.txt", folder / "e" / "test_tokenized_bpe.txt"):
        lines = path.read_bytes().decode().replace("@@ ", "").split("\n")
        assert [len(line) for line in lines] == [5, 0, 11, 0, 0, 1_000_000, 0, 14, 0, 4, 0]
        assert lines[0] == "first" and lines[2] == "a b c d e f" and lines[7] == "<unk> UNK </s>" and lines[9] == "last"


def test_the_scripts_explain_themselves_and_never_import_mindspore(folder):
    environment = without_packages(folder, "mindspore")
    for script, flags in (
        ("tokenize_corpus.py", ["--corpus_folder", "--output_folder", "--tokenizer", "--pool_size", "--errors",
                                "--overwrite", "--quiet"]),
        (
            "apply_bpe_encoding.py",
            ["--codes", "--src_folder", "--output_folder", "--prefix", "--vocab_path", "--threshold", "--processes"],
        ),
    ):
        printed = run_script(script, "--help", cwd=folder, environment=environment).stdout
        assert all(flag in printed for flag in flags)
    run_script(*tokenize(folder), cwd=folder, environment=environment)
    run_script(*encode(), cwd=folder, environment=environment)
