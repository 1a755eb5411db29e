"""Both BPE encoders, compared with subword-nmt itself, and joining subwords."""
import io
import subprocess
import sys
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from src.common.errors import MassError
from src.utils.bpe.codes import BpeCodes
from src.utils.bpe.encoders import CompiledBpeEncoder, SubwordNmtEncoder
from src.utils.byte_pair_encoding import GLOSSARIES, BytePairEncoding, join_subwords
from tests.helpers.compiler import require_compiler
from tests.helpers.scripts import run_python

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


@pytest.fixture(scope="module", params=["compiled", "subword-nmt"])
def encoding(codes, request) -> BytePairEncoding:
    if request.param == "compiled":
        require_compiler()
    return BytePairEncoding(codes, compiled=request.param == "compiled")


@pytest.fixture(scope="module")
def reference(codes) -> BPE:
    with open(codes, encoding="utf-8") as stream:
        return BPE(stream, glossaries=list(GLOSSARIES))


def encoded_by_reference(reference: BPE, text: str) -> str:
    """Encode text like the command of subword-nmt, for which U+2028 and other characters end a line."""
    return "".join(reference.process_line(line) for line in text.splitlines(keepends=True))


def test_the_output_is_that_of_the_subword_nmt_command(encoding, codes, tmp_path):
    source, output = tmp_path / "source.txt", tmp_path / "expected.txt"
    text = TEXT + "\nlow\u2028er price\x0b  \x0blow  lower\x85\rlow\r <unk>\x1c<unk>  \n\n \nlow\r\nend"
    source.write_bytes(text.encode("utf-8"))
    command = [sys.executable, "-c", "from subword_nmt.subword_nmt import main; main()", "apply-bpe"]
    command += ["-c", codes, "-i", str(source), "-o", str(output), "--glossaries", *GLOSSARIES]
    subprocess.run(command, check=True)
    assert encoding.encode_text(text).encode("utf-8") == output.read_bytes()


ODD_TEXT = st.text("abelnorstw低 <u/>k@ \u00a0\t\r\x0b\x1e\x85\u2028", max_size=30)


def encode_and_count(encoding, text: str) -> tuple[str, Counter[str]]:
    encoding.take_counts()  # discard the counts of earlier tests
    return encoding.encode_text(text), encoding.take_counts()


def token_counts(text: str) -> Counter[str]:
    return Counter(token for token in text.replace("\n", " ").split(" ") if token)


@given(st.lists(ODD_TEXT | st.just("low  <unk>  lower"), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_any_text_is_encoded_as_subword_nmt_does(encoding, reference, lines, line_end):
    text = line_end.join(lines)
    encoded, counts = encode_and_count(encoding, text)
    assert encoded == encoded_by_reference(reference, text)
    assert [encoding.encode_text(line) for line in text.split("\n")] == encoded.split("\n")
    if "\r" not in text:
        assert counts == token_counts(encoded)


def test_line_ends_are_not_part_of_a_counted_subword(encoding):
    counts = [encode_and_count(encoding, f"low price{end}low{end}{end}low")[1] for end in ("\n", "\r\n")]
    assert counts[0] == counts[1] and counts[0].total() >= 4


# Characters of one to four bytes. Some end a line for subword-nmt, some occur in its markers; the last is not valid.
LETTERS = "ab低é\u0301\u00a0😀@</w>" + "\t\x00\x0b\x1c\x85\u2028\r" + "\ud800"
CODE_LETTERS = "ab低é\u0301😀@</w>"


@st.composite
def any_codes(draw) -> list[tuple[str, str]]:
    """Codes in an arbitrary order, so that merges overlap, repeat and compete."""
    inside, last, pairs = list(CODE_LETTERS), [letter + "</w>" for letter in CODE_LETTERS] + ["</w>"], []
    for _ in range(draw(st.integers(1, 20))):
        left, right = draw(st.sampled_from(inside)), draw(st.sampled_from(inside + last))
        pairs.append((left, right))
        (last if right in last else inside).append(left + right)
    return draw(st.permutations(pairs))


@given(any_codes(), st.sampled_from(["", "#version: 0.1\n", "#version: 0.2\n"]),
       st.lists(st.text("ab", min_size=1, max_size=12) | st.text(LETTERS, max_size=12) | st.just("<unk>")))
def test_both_encoders_merge_as_subword_nmt_does(pairs, header, words):
    require_compiler()
    content = header + "".join(f"{left} {right}\n" for left, right in pairs)
    reference = BPE(io.StringIO(content), glossaries=[*GLOSSARIES])
    codes = BpeCodes(list(dict.fromkeys(pairs)), joined_end="0.2" in header)
    text = " ".join(filter(None, words)) + "\n"
    expected = encoded_by_reference(reference, text)
    encoders = [kind(codes, ["<unk>"]) for kind in (CompiledBpeEncoder, SubwordNmtEncoder)]
    assert [encoder.encode(text) for encoder in encoders] == [expected, expected]
    counts = [encoder.take_counts() for encoder in encoders]
    assert counts[0] == counts[1]
    if "\r" not in text:
        assert counts[0] == token_counts(expected)


def test_a_long_word_is_split_like_others(encoding, reference):
    word = "lowestnewer" * 300 + "x"
    assert encoding.encode_text(word) == reference.process_line(word)


def test_a_word_of_a_megabyte_is_encoded_quickly(codes):
    require_compiler()
    encoding, word = BytePairEncoding(codes), "lowestnewer" * 100_000  # a quadratic algorithm would not finish
    for text in (word, "low " + word, "low"):
        encoded, counts = encode_and_count(encoding, text)
        assert join_subwords(encoded) == text and counts == token_counts(encoded)


def test_counts_accumulate_until_they_are_taken(encoding):
    encoding.take_counts()
    encoded = encoding.encode_text("low price\n") + encoding.encode_text("low lowest <unk>\n")
    assert encoding.take_counts() == token_counts(encoded)
    assert encoding.take_counts() == Counter()


def test_special_tokens_and_spellings_of_the_unknown_token_are_kept(encoding):
    line = "</s> <mask> UNK <UNK> <unk> <s> <pad>"
    assert encoding.encode_text(line) == line
    assert "UNK " not in encoding.encode_text("DRUNK SHRUNKEN")


@pytest.mark.parametrize(("compiled", "letters", "length"), [(True, "lowest-", 6), (False, "lowe", 5)])
def test_more_words_than_fit_into_the_cache_change_nothing(codes, compiled, letters, length):
    """The C encoder caches 65,536 words; the cache of the other one is smaller here."""
    def new_encoder():
        loaded = BpeCodes.load(codes)
        return CompiledBpeEncoder(loaded, []) if compiled else SubwordNmtEncoder(loaded, [], cache_words=500)

    if compiled:
        require_compiler()
    words = ["".join(word) for word in product(letters, repeat=length)]
    pieces = [" ".join([*words[begin : begin + 9000], "price"]) + "\n" for begin in range(0, len(words), 9000)]
    encoder = new_encoder()
    encoded = encoder.encode("".join(pieces) * 2)
    one_by_one = [new_encoder().encode(piece) for piece in pieces]
    assert encoded == "".join(one_by_one) * 2
    assert encoder.take_counts() == token_counts(encoded)
    assert encoder.encode("lowest price") == BytePairEncoding(codes, compiled).encode_text("lowest price")


def test_without_a_compiler_subword_nmt_is_used_with_a_note(codes, monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    encoding = BytePairEncoding(codes)
    assert encoding.encode_text(TEXT) == BytePairEncoding(codes, compiled=False).encode_text(TEXT)
    assert "applied by subword-nmt, which is slower: no C compiler found (looked for /nonexistent/cc)" in encoding.note
    assert BytePairEncoding(codes, compiled=False).note == ""


def test_the_text_tools_do_not_import_mindspore(codes):
    code = f"import sys, src.text.bpe_corpus as b; b.encode_text({codes!r}, 'a'); print('mindspore' in sys.modules)"
    assert run_python(code).stdout == "False\n"


@given(st.lists(st.text("abelnorstw低é", min_size=1, max_size=8), max_size=10))
def test_joining_undoes_encoding(encoding, words):
    text = " ".join(words)
    assert join_subwords(encoding.encode_text(text)) == text
    assert join_subwords(encoding.encode_text(text).split()) == text


@pytest.mark.parametrize(
    "text, joined", [("", ""), ("lo@@ w pri@@", "low pri"), ("a @@b", "a @@b"), ([], ""), (["lo@@", "w"], "low"),
                     ("lo@@ w@@ @@@ @", "low@@")]  # the last word is `low@@`, and complete
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
def test_invalid_codes_are_rejected(tmp_path, content, message):
    path = tmp_path / "codes"
    path.write_text(content)
    with pytest.raises(MassError, match=message):
        BytePairEncoding(str(path))
