"""Tokenizing text files: each line becomes one line of tokens separated by single spaces."""
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version

from src.common.arguments import RunOptions
from src.common.errors import MassError
from src.common.files import list_files
from src.common.progress import say
from src.text.conversion import Conversion, ConvertedText, FileSummary, convert_files, plan_outputs
from src.text.jieba_tokenizer import JiebaTokenizer
from src.text.nltk_tokenizer import ChunkTokenizer
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

TOKENIZERS = ("nltk", "jieba")

RULES = 2
"""The newest rules of tokenization. With rules 1, jieba returned letters outside ASCII and Han one by one, and
characters without width were tokens. They remain for models that were trained so."""

_SUFFIX = "_tokenized.txt"
_FORMAT = 2  # increase this when the same tokenizer and text yield a different output

# Control characters and line separators end a line for some programs and not for others. U+FDD0..U+FDEF are reserved
# by Unicode for internal use by programs, and _STAND_INS uses them. The pattern includes everything that Python
# considers white space, except for the space and the line feed.
NOT_TEXT = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufdd0-\ufdef\ufeff]"
)
_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]"
INVISIBLE_TOKEN = re.compile(rf"{_INVISIBLE}(?<![^ \n].){_INVISIBLE}*(?![^ \n])")
"""Characters without width (zero-width spaces, joiners, directions) that stand alone: there is nothing to read."""
_SPACES = re.compile("  +")

# Both tokenizers split `<unk>`, but not an unknown character. (They do not split `UNK`.)
_PROTECTED = [token for token in dict.fromkeys(SPECIAL_TOKENS + UNKNOWN_SPELLINGS) if token.startswith("<")]
_STAND_INS = {token: chr(0xFDD0 + number) for number, token in enumerate(_PROTECTED)}
_TOKENS = {stand_in: token for token, stand_in in _STAND_INS.items()}
_STAND_IN_PATTERN = re.compile(f"[{''.join(_TOKENS)}]")
_PROTECTED_PATTERN = re.compile("|".join(map(re.escape, _PROTECTED)))


def usable_tokenizer(name: str) -> str:
    """Return the tokenizer `name`, or "jieba" if `name` is "nltk" and nltk cannot be imported, which stderr says then.

    Raises:
        MassError: jieba is needed and cannot be imported either.
    """
    for candidate in [name] if name == "jieba" else [name, "jieba"]:
        try:
            _load(candidate, RULES)
        except ImportError as error:
            reason = error
        else:
            if candidate != name:
                say(f"{name} cannot be imported (try: pip install {name}); using {candidate}", sys.stderr)
            return candidate
    raise MassError(f"no tokenizer can be imported ({reason}); install one with: pip install nltk jieba")


def find_corpus(folders: Sequence[str], output_folder: str) -> list[str]:
    """Return the `*.txt` files of the folders, after checking that `<name>_tokenized.txt` can be written for each.

    Raises:
        UsageError: two files have the same name, or the output folder is one of the folders.
        MassError: a folder holds no text, or the output cannot be written.
    """
    sources = [path for folder in folders for path in list_files(folder, "*.txt", "corpus folder")]
    plan_outputs(sources, output_folder, _SUFFIX)
    return sources


def tokenize_corpus(
    sources: Sequence[str], output_folder: str, tokenizer: str, options: RunOptions
) -> Iterator[FileSummary]:
    """Tokenize the files that `find_corpus` returned, and yield a summary of each file when its output is complete.

    Raises:
        MassError: a file is not UTF-8 and `options.errors` is "strict", or there is no token in any file.
    """
    settings = {"step": "tokenize", "format": _FORMAT, "tokenizer": tokenizer, "version": version(tokenizer)}
    conversion = Conversion("tokenize", partial(tokenize_text, tokenizer), settings, _SUFFIX)
    return convert_files(sources, output_folder, conversion, options)


def tokenize_text(tokenizer: str, text: str, rules: int = RULES) -> ConvertedText:
    """Tokenize lines that each end with `\\n`. No token contains white space.

    Control characters and line separators are treated as spaces. Special tokens and spellings of the unknown token
    (`<unk>`, `</s>`, ...) remain whole.

    Args:
        tokenizer: one of TOKENIZERS.
        text: the lines.
        rules: 1 to RULES; text.json says with which ones the text of a model was tokenized.
    """
    text = NOT_TEXT.sub(" ", text)
    if rules > 1 and not text.isascii():
        text = INVISIBLE_TOKEN.sub(" ", text)
    if "<" in text:
        text = _PROTECTED_PATTERN.sub(lambda match: f" {_STAND_INS[match[0]]} ", text)
    if "  " in text:
        text = _SPACES.sub(" ", text)
    text = text.replace(" \n", "\n").replace("\n ", "\n").removeprefix(" ")
    lines, tokens = _load(tokenizer, rules if tokenizer == "jieba" else RULES)(text)
    return ConvertedText(_STAND_IN_PATTERN.sub(lambda match: _TOKENS[match[0]], lines), tokens)


@cache
def _load(name: str, rules: int) -> Callable[[str], tuple[str, int]]:
    """Load a tokenizer, once per process, as nltk's caches words and jieba's reads a dictionary."""
    if name == "nltk":
        # preserve_line: a line is one sentence; splitting it into sentences would need downloaded data.
        return ChunkTokenizer(partial(import_module("nltk.tokenize").word_tokenize, preserve_line=True)).tokenize
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about deprecated features that jieba uses
        jieba = import_module("jieba")
    jieba.setLogLevel("WARNING")
    jieba.initialize()
    return JiebaTokenizer(jieba.cut, keep_words=rules > 1).tokenize
