r"""Tokenization and detokenization as lists of replacements, for runtimes that have neither nltk nor our code.

A rule is a regular expression and a text that replaces each match. Most matches are empty: they are places at which a
space is inserted. The expressions use only what Python's `re` and Oniguruma (the package `tokenizers`) have in common;
in particular, all alternatives of a look-behind have one width, and classes such as \w are written out, because every
package has its own.

Some rules of nltk consume the text around what they change, so that of several places in a row every other one is
changed. Look-behind cannot count so far. An `Engine` states these rules in its own way.
"""
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, reduce
from importlib import import_module
from typing import NamedTuple

from src.common.errors import MassError
from src.text.detokenization import CJK, TYPOGRAPHIC_RULES
from src.text.spelling import BRACKET_NAMES
from src.text.text_processing import TOKENIZED, TextProcessing
from src.text.tokenization import INVISIBLE_TOKEN, NOT_TEXT
from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

Rule = tuple[str, str]

UNKNOWN = "\ufdd0"
"""Stands for a word that is an unknown token; no vocabulary has it, because Unicode reserves it for programs."""
_MARK = "\ufdd1"
_LIKE_ASCII = "İıſ\u212a"


class Engine(NamedTuple):
    """What applies the rules."""

    has_templates: bool  # `\g<1>` in the text that replaces a match stands for its first group

    def consuming(self, before: str, replaced: str, after: str, content: str) -> Rule:
        """Return the rule that puts `content` for `replaced` where it stands between `before` and `after`.

        The next match begins after the text that `after` has matched.

        Args:
            before: an expression for one character.
            after: an expression that can match in one way only, or prefers the longest.
        """
        if self.has_templates:
            return f"({before}){replaced}({after})", rf"\g<1>{content}\g<2>"
        # Oniguruma begins a search (\G) where the last match ended, before `after`, and \K keeps what precedes it.
        return rf"(?:\A|\G(?>{after})).*?{before}\K{replaced}(?={after})", content


PYTHON, ONIGURUMA = Engine(has_templates=True), Engine(has_templates=False)

_SPACED = "«“‘„"
_CLITIC = "(?:'ll|'LL|'re|'RE|'ve|'VE|n't|N'T)"
_CONTRACTIONS = (("can", "not"), ("d", "'ye"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"),
                 ("more", "'n"), ("wan", "na "))


def text_rules(text: TextProcessing, engine: Engine) -> list[Rule]:
    """Return the rules that turn raw text into words separated by single spaces.

    Args:
        text: what the rules reproduce. Text for jieba must be separated into words already.
        engine: PYTHON or ONIGURUMA.

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
        rules += _nltk_rules(engine)
    elif text.tokenizer not in (TOKENIZED, "jieba"):
        raise MassError(f"the tokenizer {text.tokenizer!r} cannot be exported")
    rules.append((rf"(?<![^ ])(?:{'|'.join(map(re.escape, unknown))})(?![^ ])", UNKNOWN))
    rules += [("  +", " "), (r"\A +| +\Z", "")]
    return rules


def detokenization_rules(text: TextProcessing, engine: Engine) -> list[Rule]:
    """Return the rules that turn predicted words, separated by single spaces, into text; see `text_rules`."""
    if text.tokenizer == TOKENIZED:
        return []
    if text.tokenizer == "jieba":
        rules = [(f"(?<=[{CJK}]) | (?=[{CJK}])", ""), (r" (?=[,.;:!?%)\]}])", ""), (r"(?<=[(\[{]) ", "")]
    else:
        rules = _nltk_detokenization_rules(engine, "$" if text.digits_to_hash else "#$")
    names = BRACKET_NAMES.items() if text.brackets_to_names else ()
    return [(whole_word(name), bracket) for bracket, name in names] + rules + TYPOGRAPHIC_RULES


def whole_word(word: str) -> str:
    """Return the expression for a word between spaces."""
    return rf"(?<![^ ]){re.escape(word)}(?![^ ])"


def apply_rules(rules: Sequence[Rule], text: str) -> str:
    """Apply rules for Python to a text."""
    return reduce(lambda changed, rule: re.sub(*rule, changed), rules, text)


def _nltk_rules(engine: Engine) -> list[Rule]:
    """Return the rules of nltk.tokenize.NLTKWordTokenizer, one after the other."""
    quoted, word, digit = _characters("regex", r"\w"), _characters("re", r"\w"), _characters("regex", r"\d")
    not_opening = _either(*map(_any_case, ("re", "ve", "ll", "m", "t", "s", "d", "n")))
    firsts, seconds = ([_any_case(part.strip(), "re") for part in parts] for parts in zip(*_CONTRACTIONS, strict=True))
    t, *verbs = (_any_case(part, "re") for part in ("t", "is", "was"))
    return [
        (_around(f"[{_SPACED}]"), " "), ("(?<!`)(?=`)|(?<=`)(?!`)", " "), (r'\A"', "``"), ("``", " `` "),
        (r"""(?<=[ (\[{<])(?:"|'')""", " `` "),
        (rf"'(?<![{quoted}]')(?!{not_opening}(?![{quoted}]))(?=[{quoted}])", "' "),
        (r"""(?<=[^.])\.(?=[\])}>"'»”’ ]*\Z)""", " . "),
        engine.consuming("[:,]", "", f"[^{digit}]", _MARK), (f"(?=[:,]{_MARK})", " "), (_MARK, " "),
        (r":\Z", " : "), (r",\Z", " , "),
        (r"(?<!\.)(?=\.\.)|(?<=\.\.)(?!\.)", " "), (_around(r"[;@#$%&\u2012-\u2015]"), " "),
        (r"""(?<=[^.])\.(?=[\])}>"']*\Z)""", " ."), (_around("[?!]"), " "), ("(?<=[^'])' ", " ' "),
        (_around("[*]"), " "), (_around(r"[\]\[(){}<>]"), " "), ("--", " -- "), (r"\A|\Z", " "),
        (_around("[»”’]"), " "), ("''", " '' "), ('"', " '' "), (" +", " "),
        (r"(?<=[^' ])(?='[sSmMdD]? )", " "), (rf"(?<=[^' ])(?={_CLITIC} )", " "),
        (_inside_contraction("re", ""), _MARK), (f"(?={_either(*firsts)}{_MARK})", " "),
        ("|".join(f"(?<={_MARK}{part})" for part in seconds), " "), (_MARK, " "),
        *((rf"(?<= '{t})(?={verb}(?![{word}]))|(?<= '{t}{verb})(?![{word}])", " ") for verb in verbs),
    ]


def _nltk_detokenization_rules(engine: Engine, before: str) -> list[Rule]:
    """Return the rules of nltk's TreebankWordDetokenizer; `before`: characters after which a space is removed."""
    word = _characters("regex", r"\w")
    rules = [(r"\A|\Z", " ")]
    for verb in ("is", "was"):
        rules += [(rf" (?='{_any_case('t')} {_any_case(verb)}(?![{word}]))", _MARK),
                  (rf"(?<={_MARK}'{_any_case('t')}) ", ""), (_MARK, "")]
    return rules + [
        (_inside_contraction("regex", " "), ""),
        engine.consuming("[^' ]", " ", f"{_CLITIC} ", ""), engine.consuming("[^' ]", " ", "'[sSmMdD]? ", ""),
        ("(?<=[^' ]) (?='')", ""), engine.consuming("[,.;:!?']", " +", """(?:"|'')""", ""),
        (r"(?<='') (?=[.,:)\]>};%])", ""), ("''", '"'),
        (r"""(?<=[,.;:!?])"'""", "'\""), (r"\A +| +\Z", ""), (" -- ", "--"),
        (r"(?<=[\[({<]) ", ""), (r" (?=[\])}>])", ""), (r"(?<=[\])}>]) (?=[:;,.])", ""),
        ("(?<=[^']) ' ", "' "), (" (?=[?!])", ""),
        engine.consuming("[^.]", " ", r"""\.(?!\.)[\])}>"']*""", ""), (f"(?<=[{before}]) ", ""),
        (" (?=[;%])", ""), (r" \.\.\. ", "..."), (" (?=[:,])", ""),
        (r"(?<=[ (\[{<]) (?=``)", ""), ("(?<=``) ", ""), ("``", '"'), (r"\A +| +\Z", ""),
    ]


def character_ranges(matches: Callable[[str], bool]) -> str:
    """Return the characters that match, as ranges for a character class."""
    ranges, start = "", None
    for number in range(sys.maxunicode + 2):
        found = number <= sys.maxunicode and not 0xd800 <= number < 0xe000 and matches(chr(number))
        if found and start is None:
            start = number
        elif not found and start is not None:
            ranges += re.escape(chr(start)) + (f"-{re.escape(chr(number - 1))}" if number - 1 > start else "")
            start = None
    return ranges


@cache
def _characters(package: str, expression: str) -> str:
    """Return the characters that an expression matches in a package, as ranges for a character class."""
    everything = "".join(map(chr, (number for number in range(sys.maxunicode + 1) if not 0xd800 <= number < 0xe000)))
    found = set("".join(import_module(package).findall(f"{expression}+", everything)))
    return character_ranges(found.__contains__)


def _around(characters: str) -> str:
    """The places before and after one of a class of characters."""
    return f"(?={characters})|(?<={characters})"


def _inside_contraction(package: str, gap: str) -> str:
    """What stands between the parts of a word that is written as one but is two, such as `gonna`."""
    word = _characters(package, r"\w")
    firsts, seconds = ([_any_case(part, package) for part in parts] for parts in zip(*_CONTRACTIONS, strict=True))
    pairs = [f"(?<={first}){gap}(?={second})" for first, second in zip(firsts, seconds, strict=True)]
    of_size = [_either(*(_any_case(first, package) for first, _ in _CONTRACTIONS if len(first) == size))
               for size in (1, 3, 4)]  # the alternatives of a look-behind have one width
    starts = [f"(?<=[^{word}]{start}{gap})" for start in of_size]
    return f"{_either(*pairs)}{_either(*starts)}(?={_either(*map(str.strip, seconds))}(?![{word}]))"


def _any_case(text: str, package: str = "regex") -> str:
    """An expression for an ASCII text as a package matches it in any case; other characters stand for themselves."""
    return "".join(f"[{letter}{letter.upper()}{_other_cases(package, letter)}]" if letter.isalpha() else letter
                   for letter in text)


@cache
def _other_cases(package: str, letter: str) -> str:
    """The characters outside ASCII that a package takes for a case of a letter: `ſ` is an `s`, `İ` an `i`."""
    return "".join(one for one in _LIKE_ASCII if import_module(package).match(f"(?i:{letter})", one))


def _either(*texts: str) -> str:
    return f"(?:{'|'.join(texts)})"
