"""BPE against subword-nmt itself, and the way back."""
import io
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from src.utils import byte_pair_encoding
from src.utils.byte_pair_encoding import GLOSSARIES, BytePairEncoding, join_subwords
from src.utils.errors import MassError

TEXT = """the lowest price was lower than the newest price
 a drunk slept in the junk yard
the <unk> newest of UNK and </s> lowest  <mask> <UNK> words
低价 的 新闻

weiter, niedriger: naïve café prices lowered"""


@pytest.fixture(scope="module")
def codes(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("bpe") / "codes"
    with open(path, "w", encoding="utf-8") as stream:
        learn_bpe(io.StringIO(TEXT * 3), stream, 40)
    return str(path)


@pytest.fixture(scope="module")
def encoding(codes) -> BytePairEncoding:
    return BytePairEncoding(codes)


@pytest.fixture(scope="module")
def reference(codes) -> BPE:
    with open(codes, encoding="utf-8") as stream:
        return BPE(stream, glossaries=list(GLOSSARIES))


def with_one_unknown(line: str) -> str:
    return " ".join("<unk>" if token in ("UNK", "<UNK>") else token for token in line.split(" "))


def test_the_output_is_that_of_the_subword_nmt_command(encoding, codes, tmp_path):
    source, output = tmp_path / "source.txt", tmp_path / "out" / "encoded.txt"
    source.write_text(TEXT + "\n", encoding="utf-8")
    counts = encoding.encode_file(str(source), str(output))
    command = [sys.executable, "-c", "from subword_nmt.subword_nmt import main; main()", "apply-bpe"]
    command += ["-c", codes, "-i", str(source), "--glossaries", *GLOSSARIES]
    expected = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")
    encoded = output.read_text(encoding="utf-8")
    assert encoded.split("\n") == [with_one_unknown(line) for line in expected.split("\n")]
    assert counts == Counter(encoded.split())


@given(st.lists(st.text("abelnorstw低 <u/>k@ \u00a0\t", max_size=30), max_size=5))
def test_any_line_is_encoded_as_subword_nmt_does(encoding, reference, lines):
    encoded, counts = encoding.encode_lines(lines)
    assert encoded == [reference.process_line(line) for line in lines]
    assert encoded == [encoding.encode_line(line) for line in lines]
    assert counts == Counter(token for line in encoded for token in line.split(" ") if token)


def test_symbols_stay_whole_and_unknown_words_have_one_spelling(encoding):
    assert encoding.encode_line("</s> <mask> UNK <UNK> <unk>") == "</s> <mask> <unk> <unk> <unk>"
    assert "UNK " not in encoding.encode_line("DRUNK SHRUNKEN")


def test_a_full_cache_starts_afresh(encoding, codes, monkeypatch):
    monkeypatch.setattr(byte_pair_encoding, "_CACHE_WORDS", 12)
    small = BytePairEncoding(codes)
    lines = TEXT.split("\n")
    assert small.encode_lines(lines) == encoding.encode_lines(lines)
    assert len(small._cache) <= 12


@given(st.lists(st.text("abelnorstw低é", min_size=1, max_size=8), max_size=10))
def test_joining_undoes_encoding(encoding, words):
    text = " ".join(words)
    assert join_subwords(encoding.encode_line(text)) == text
    assert join_subwords(encoding.encode_line(text).split()) == text


@pytest.mark.parametrize(
    "text, joined", [("", ""), ("lo@@ w pri@@", "low pri"), ("a @@b", "a @@b"), ([], ""), (["lo@@", "w"], "low")]
)
def test_joining(text, joined):
    assert join_subwords(text) == joined


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "holds no BPE codes"),
        ("#version: 0.2\n\n", "holds no BPE codes"),
        ("#version: 0.2\nl o\nlow\n", "line 3.*'low'"),
        ("a b c\n", "line 1"),
        ("#version: 7\na b\n", "version"),
    ],
)
def test_bad_codes_are_refused(tmp_path, content, message):
    path = tmp_path / "codes"
    path.write_text(content)
    with pytest.raises(MassError, match=message):
        BytePairEncoding(str(path))
