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
from src.utils.byte_pair_encoding import GLOSSARIES, BytePairEncoding, Merges, count_subwords, join_subwords
from src.utils.errors import MassError
from src.utils.recent_words import RecentWords

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


def encoded_by_reference(reference: BPE, text: str) -> str:
    """As the command does it, whose reader takes U+2028 and others for line ends."""
    return "".join(reference.process_line(line) for line in text.splitlines(keepends=True))


def test_the_output_is_that_of_the_subword_nmt_command(encoding, codes, tmp_path):
    source, output = tmp_path / "source.txt", tmp_path / "expected.txt"
    text = TEXT + "\nlow\u2028er price\x0b  \x0blow  lower\x85\rlow\r <unk>\x1c<unk>  \n\n \nlow\r\nend"
    source.write_bytes(text.encode("utf-8"))
    command = [sys.executable, "-c", "from subword_nmt.subword_nmt import main; main()", "apply-bpe"]
    command += ["-c", codes, "-i", str(source), "-o", str(output), "--glossaries", *GLOSSARIES]
    subprocess.run(command, check=True)
    encoded, _ = encoding.encode_text(text)
    assert encoded.encode("utf-8") == output.read_bytes()
ODD_TEXT = st.text("abelnorstw低 <u/>k@ \u00a0\t\r\x0b\x1e\x85\u2028", max_size=30)


@given(st.lists(ODD_TEXT | st.just("low  <unk>  lower"), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_any_text_is_encoded_as_subword_nmt_does(encoding, reference, lines, line_end):
    text = line_end.join(lines)
    encoded, words = encoding.encode_text(text)
    assert encoded == encoded_by_reference(reference, text)
    assert [encoding.encode_line(line) for line in text.split("\n")] == encoded.split("\n")
    if "\r" not in text:
        assert count_subwords(words) == Counter(token for token in encoded.replace("\n", " ").split(" ") if token)


def test_line_ends_are_no_part_of_a_counted_subword(encoding):
    counts = [count_subwords(encoding.encode_text(f"low price{end}low{end}{end}low")[1]) for end in ("\n", "\r\n")]
    assert counts[0] == counts[1] and counts[0].total() >= 4


@st.composite
def codes_and_words(draw) -> tuple[list[str], list[str]]:
    """Codes of two letters whose order is not that of learning, so that merges overlap, repeat and compete."""
    symbols, pairs = ["a", "b", "a</w>", "b</w>", "</w>"], []
    for _ in range(draw(st.integers(1, 12))):
        left = draw(st.sampled_from([symbol for symbol in symbols if not symbol.endswith("</w>")]))
        right = draw(st.sampled_from(symbols))
        pairs.append(f"{left} {right}")
        symbols.append(left + right)
    return draw(st.permutations(pairs)), draw(st.lists(st.text("ab", min_size=1, max_size=12), min_size=1))


@given(codes_and_words(), st.sampled_from(["", "#version: 0.1\n", "#version: 0.2\n"]))
def test_merges_are_those_of_subword_nmt(drawn, header):
    pairs, words = drawn
    reference = BPE(io.StringIO(header + "\n".join(pairs) + "\n"))
    merges = Merges((tuple(pair.split(" ")) for pair in pairs), joined_end="0.2" in header)
    for word in words:
        assert "@@ ".join(merges.split(word)) == reference.process_line(word)


def test_a_very_long_word_is_split_like_others(encoding, reference):
    word = "lowestnewer" * 300 + "x"
    assert encoding.encode_line(word) == reference.process_line(word)
    assert len(encoding.encode_line("lowestnewer" * 20_000)) > 220_000  # a quadratic split would not come back


def test_symbols_and_unknown_words_stay_as_they_are(encoding):
    line = "</s> <mask> UNK <UNK> <unk> <s> <pad>"
    assert encoding.encode_line(line) == line
    assert "UNK " not in encoding.encode_line("DRUNK SHRUNKEN")


def test_what_is_remembered_is_bounded_and_does_not_show(encoding, codes, monkeypatch):
    monkeypatch.setattr(byte_pair_encoding, "_CACHE_WORDS", 20)
    small = BytePairEncoding(codes)
    for line in (TEXT + "\n").splitlines(keepends=True) * 3:
        assert small.encode_text(line) == encoding.encode_text(line)
        assert len(small._cache) <= 20 + len(line.split())


def test_words_in_use_are_remembered():
    words = RecentWords(4)
    for number in range(100):
        assert number == 0 or words["often"] == "kept"
        words.update({"often": "kept", str(number): ""})
        words.forget_old_words(["often", str(number)])
        assert len(words) <= 4 and str(number) in words
    assert "3" not in words


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
