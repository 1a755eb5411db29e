"""Tokenizing text files: one line in, one line of tokens separated by single spaces out."""
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module

from src.text.parallel import ConvertedLines, FileSummary, convert_files, plan_outputs
from src.utils.dictionary import SPECIAL_SYMBOLS, UNKNOWN_SPELLINGS
from src.utils.errors import MassError
from src.utils.files import list_files

TOKENIZERS = ("nltk", "jieba")

# Control characters and line separators would break lines for one reader and not for another. U+FDD0..U+FDEF
# are no characters: Unicode reserves them for the use inside a program, which is what _STAND_INS makes of them.
_DIRT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufeff]")

# Both tokenizers take `<unk>` apart, but not a character that they do not know. (`UNK` is a word to them.)
_PROTECTED = [symbol for symbol in dict.fromkeys(SPECIAL_SYMBOLS + UNKNOWN_SPELLINGS) if symbol.startswith("<")]
_STAND_INS = {symbol: chr(0xFDD0 + number) for number, symbol in enumerate(_PROTECTED)}
_SYMBOLS = {stand_in: symbol for symbol, stand_in in _STAND_INS.items()}
_PROTECTED_PATTERN = re.compile("|".join(map(re.escape, _PROTECTED)))


def usable_tokenizer(name: str) -> str:
    """`name`, or "jieba" if that is "nltk" and nltk cannot be imported.

    Raises:
        MassError: jieba is needed and cannot be imported either.
    """
    for candidate in [name] if name == "jieba" else [name, "jieba"]:
        try:
            _load(candidate)
        except ImportError as error:
            reason = error
        else:
            return candidate
    raise MassError(f"no tokenizer can be imported ({reason}); install one: pip install nltk jieba")


def plan_corpus(folders: Sequence[str], output_folder: str) -> list[tuple[str, str]]:
    """(source, output) for all `*.txt` of the folders: `<name>.txt` becomes `<output_folder>/<name>_tokenized.txt`.

    Raises:
        UsageError: two files have the same name, or the output folder is one of the folders.
        MassError: a folder holds no text, or the output cannot be written.
    """
    sources = [path for folder in folders for path in list_files(folder, "*.txt", "corpus folder")]
    return plan_outputs(sources, output_folder, "_tokenized.txt")


def tokenize_corpus(plan: Sequence[tuple[str, str]], tokenizer: str, processes: int) -> Iterator[FileSummary]:
    """Tokenize each (source, output) of the plan; yield a summary of each file.

    Raises MassError for a file that is not UTF-8 and for files without a token.
    """
    return convert_files(plan, partial(tokenize_lines, tokenizer), processes, "tokenize")


def tokenize_lines(tokenizer: str, lines: Sequence[str]) -> ConvertedLines:
    """Tokenize lines with the tokenizer of that name."""
    split = _load(tokenizer)
    token_lists = [tokenize_line(split, line) for line in lines]
    return ConvertedLines([" ".join(tokens) for tokens in token_lists], sum(map(len, token_lists)), Counter())


def tokenize_line(split: Callable[[str], Sequence[str]], line: str) -> list[str]:
    """The tokens of a line, none of which holds white space.

    Control characters and line separators count as spaces; special symbols and spellings of the unknown
    word (`<unk>`, `</s>`, ...) come out as one token each.
    """
    clean = " ".join(_DIRT.sub(" ", line).split())
    if not clean:
        return []
    hidden = _PROTECTED_PATTERN.sub(lambda match: f" {_STAND_INS[match[0]]} ", clean) if "<" in clean else clean
    tokens = split(hidden)
    return tokens if hidden is clean else [_SYMBOLS.get(token, token) for token in tokens]


@cache
def _load(name: str) -> Callable[[str], list[str]]:
    """The function that splits a clean line; once in each process, as jieba reads its word list then."""
    if name == "nltk":
        # preserve_line: a line is a sentence; splitting it into sentences would need data to be downloaded.
        return partial(import_module("nltk.tokenize").word_tokenize, preserve_line=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old ways in jieba itself
        jieba = import_module("jieba")
    jieba.setLogLevel("WARNING")
    jieba.initialize()
    return partial(_split_with_jieba, jieba)


def _split_with_jieba(jieba, line: str) -> list[str]:
    return [token for token in jieba.cut(line) if not token.isspace()]
