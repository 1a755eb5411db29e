"""Tokenization and detokenization as lists of replacements, for runtimes that have neither nltk nor our code.

A rule is a regular expression and a literal text that replaces each match. Most matches are empty: they are places at
which a space is inserted. The expressions use only what Python's `re` and Oniguruma (the package `tokenizers`) have in
common; in particular, all alternatives of a look-behind have one width.
"""
import re
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

from src.common.errors import MassError
from src.text.detokenization import CJK, TYPOGRAPHIC_RULES
from src.text.text_processing import TOKENIZED, TextProcessing
from src.text.tokenization import INVISIBLE_TOKEN, NOT_TEXT
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

Rule = tuple[str, str]

UNKNOWN = "\ufdd0"
"""Stands for a word that is an unknown token; no vocabulary has it, because Unicode reserves it for programs."""
_MARK = "\ufdd1"


class WordCharacters(NamedTuple):
    """What a regular expression counts as part of a word, for use in a character class."""

    of_regex: str  # as the package `regex`, with which nltk splits quotes
    of_re: str  # as Python's `re`, with which nltk splits contractions


PYTHON = WordCharacters(r"\w", r"\w")  # `re` cannot express the first one: it has no combining marks, but fractions
ONIGURUMA = WordCharacters(r"\w", r"\p{L}\p{N}_")

_SPACED = "«“‘„"
_CONTRACTIONS = ("can|not", "d|'ye", "gim|me", "gon|na", "got|ta", "lem|me", "more|'n")


def text_rules(text: TextProcessing, characters: WordCharacters) -> list[Rule]:
    """Return the rules that turn raw text into words separated by single spaces.

    Args:
        text: what the rules reproduce. Text for jieba must be separated into words already.
        characters: PYTHON or ONIGURUMA.

    Raises:
        MassError: the tokenizer is not known.
    """
    unknown = sorted({*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS})
    rules: list[Rule] = []
    if text.tokenizer != TOKENIZED:
        protected = "|".join(re.escape(token) for token in unknown if token.startswith("<"))
        rules += [("\n", " "), (NOT_TEXT.pattern, " "), (protected, f" {UNKNOWN} "), ("  +", " "), (r"\A +| +\Z", "")]
        if text.rules > 1:
            rules[2:2] = [(INVISIBLE_TOKEN.pattern, " ")]
    if text.tokenizer == "nltk":
        rules += _nltk_rules(characters)
    elif text.tokenizer not in (TOKENIZED, "jieba"):
        raise MassError(f"the tokenizer {text.tokenizer!r} cannot be exported")
    rules.append((rf"(?<![^ ])(?:{'|'.join(map(re.escape, unknown))})(?![^ ])", UNKNOWN))
    rules += [("  +", " "), (r"\A +| +\Z", "")]
    return rules


def detokenization_rules(text: TextProcessing, characters: WordCharacters) -> list[Rule]:
    """Return the rules that turn predicted words, separated by single spaces, into text; see `text_rules`."""
    if text.tokenizer == TOKENIZED:
        return []
    if text.tokenizer == "jieba":
        rules = [(f"(?<=[{CJK}]) | (?=[{CJK}])", ""), (r" (?=[,.;:!?%)\]}])", ""), (r"(?<=[(\[{]) ", "")]
    else:
        rules = _nltk_detokenization_rules(characters, "$" if text.digits_to_hash else "#$")
    return rules + TYPOGRAPHIC_RULES


def apply_rules(rules: Sequence[Rule], text: str) -> str:
    """Apply rules for Python to a text."""
    return reduce(lambda changed, rule: re.sub(rule[0], lambda _: rule[1], changed), rules, text)


def _nltk_rules(characters: WordCharacters) -> list[Rule]:
    """Return the rules of nltk.tokenize.NLTKWordTokenizer, one after the other."""
    quoted, word = characters
    # nltk consumes two characters at each of `:` and `,`, so of several in a row it separates every other one.
    before, after = (_after_marks(counts) for counts in ((0, 2, 4), (1, 3, 5)))
    clitics = _either("'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T")
    return [
        (_around(f"[{_SPACED}]"), " "), ("(?<!`)(?=`)|(?<=`)(?!`)", " "), (r'\A"', "``"), ("``", " `` "),
        (r"""(?<=[ (\[{<])(?:"|'')""", " `` "),
        (rf"(?<![{quoted}])'(?!(?:{_any_case('re|ve|ll|m|t|s|d|n')})(?![{quoted}]))(?=[{quoted}])", "' "),
        (r"""(?<=[^.])\.(?=[\])}>"'»”’ ]*\Z)""", " . "),
        (rf"(?:{before})(?=[:,][^\d])|(?:{after})(?=[^\d])", " "), (r":\Z", " : "), (r",\Z", " , "),
        (r"(?<!\.)(?=\.\.)|(?<=\.\.)(?!\.)", " "), (_around(r"[;@#$%&\u2012-\u2015]"), " "),
        (r"""(?<=[^.])\.(?=[\])}>"']*\s*\Z)""", " ."), (_around("[?!]"), " "), ("(?<=[^'])' ", " ' "),
        (_around("[*]"), " "), (_around(r"[\]\[(){}<>]"), " "), ("--", " -- "), (r"\A|\Z", " "),
        (_around("[»”’]"), " "), ("''", " '' "), ('"', " '' "), (" +", " "),
        (r"(?<=[^' ])(?='[sSmMdD]? )", " "), (rf"(?<=[^' ])(?={clitics} )", " "),
        *((_contraction(*pair.split("|"), word), " ") for pair in _CONTRACTIONS),
        (rf"(?<![{word}])(?={_any_case('wanna')} )|(?<=[^{word}]{_any_case('wan')})(?={_any_case('na')} )", " "),
        *((rf"(?<= '{_any_case('t')})(?={_any_case(verb)}(?![{word}]))|(?<= '{_any_case('t' + verb)})(?![{word}])", " ")
          for verb in ("is", "was")),
    ]


def _nltk_detokenization_rules(characters: WordCharacters, before: str) -> list[Rule]:
    """Return the rules of nltk's TreebankWordDetokenizer; `before`: characters after which a space is removed."""
    word, clitics = characters.of_regex, _either("'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T")
    rules = [(r"\A|\Z", " ")]
    for verb in ("is", "was"):
        rules += [(rf" (?='{_any_case('t')} {_any_case(verb)}(?![{word}]))", _MARK),
                  (rf"(?<={_MARK}'{_any_case('t')}) ", ""), (_MARK, "")]
    rules += [(rf"(?<=[^{word}]{_any_case(first)}) (?={_any_case(second)}(?![{word}]))", "")
              for first, second in (pair.split("|") for pair in _CONTRACTIONS)]
    return rules + [
        (rf"(?<=[^{word}]{_any_case('wan')}) (?={_any_case('na')} )", ""),
        # nltk consumes the space after a clitic, so that the second of two in a row stays apart.
        (rf"(?<=[^' ])(?<![^' ] {clitics}) (?={clitics} )", ""),
        (r"(?<=[^' ])(?<![^' ] '[sSmMdD]) (?='[sSmMdD]? )", ""), ("(?<=[^' ]) (?='')", ""),
        (r"""(?<=[,.;:!?'])(?<![,.;:!?'] '') +(?="|'')""", ""), (r"(?<='') (?=[.,:)\]>};%])", ""), ("''", '"'),
        (r"""(?<=[,.;:!?])"'""", "'\""), (r"\A +| +\Z", ""), (" -- ", "--"),
        (r"(?<=[\[({<]) ", ""), (r" (?=[\])}>])", ""), (r"(?<=[\])}>]) (?=[:;,.])", ""),
        ("(?<=[^']) ' ", "' "), (" (?=[?!])", ""), (r"(?<=[^.]) (?=\.(?!\.))", ""), (f"(?<=[{before}]) ", ""),
        (" (?=[;%])", ""), (r" \.\.\. ", "..."), (" (?=[:,])", ""),
        (r"(?<=[ (\[{<]) (?=``)", ""), ("(?<=``) ", ""), ("``", '"'), (r"\A +| +\Z", ""),
    ]


def _around(characters: str) -> str:
    """The places before and after one of a class of characters."""
    return f"(?={characters})|(?<={characters})"


def _after_marks(counts: Sequence[int]) -> str:
    """The places after exactly one of these numbers of colons and commas."""
    return "|".join(rf"(?<=[^:,][:,]{{{count}}})|(?<=\A[:,]{{{count}}})" if count else "(?<![:,])" for count in counts)


def _contraction(first: str, second: str, word: str) -> str:
    """The places before, inside and after a word that is written as one but is two."""
    one, other = _any_case(first), _any_case(second)
    start = rf"(?<![{word}])" if first[0].isalpha() else ""
    return (rf"{start}(?={one}{other}(?![{word}]))|(?<=[^{word}]{one})(?={other}(?![{word}]))|"
            rf"(?<=[^{word}]{one}{other})(?![{word}])")


def _any_case(text: str) -> str:
    """An expression for an ASCII text in upper or lower case; other characters stand for themselves."""
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in text)


def _either(*texts: str) -> str:
    return f"(?:{'|'.join(texts)})"
