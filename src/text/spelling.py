"""How a corpus spells its words: lower case, # for digits, names for brackets."""
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from src.utils.dictionary import SPECIAL_TOKENS, UNKNOWN_SPELLINGS

BRACKET_NAMES = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
"""Brackets and how they are spelled in Gigaword; the Penn Treebank has the same names in upper case."""
_BRACKETS = {name: bracket for bracket, name in BRACKET_NAMES.items()}
_WORD = re.compile("[^ \n]+")
_BRACKET = re.compile(r"(?<![^ \n])[()\[\]{}](?![^ \n])")
_DIGIT = re.compile("[0-9]")
_KEPT = {*SPECIAL_TOKENS, *UNKNOWN_SPELLINGS}


def lower_words(text: str) -> str:
    """Return text in lower case, but for special tokens and other spellings of the unknown token, such as UNK."""
    return _WORD.sub(lambda match: match[0] if match[0] in _KEPT else match[0].lower(), text)


def name_brackets(text: str) -> str:
    """Return text with a name for each word that is a bracket."""
    return _BRACKET.sub(lambda match: BRACKET_NAMES[match[0]], text)


def hash_digits(text: str) -> str:
    """Return text with # for each digit 0 to 9."""
    return _DIGIT.sub("#", text)


def _change(apply: Callable[[str], str], flag_help: str, participle: str) -> Any:
    """Declare a change of words, which is off unless it is asked for."""
    return field(default=False, metadata={"apply": apply, "help": flag_help, "participle": participle})


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """The changes of words after tokenization, in the order in which they are applied.

    Each is also a key of dataset_config, a flag of eval.py and an entry of text.json. Exported programs reproduce them
    in their own ways: `src/export/text_rules.py`, `src/export/huggingface/tokenizer.py` and
    `src/export/runner/mass_text.py`.
    """

    lower_case: bool = _change(lower_words, "convert words to lower case", "converted to lower case")
    brackets_to_names: bool = _change(name_brackets, "spell brackets -lrb-, -rrb- and so on",
                                      "with names for brackets (-lrb-, -rrb- and so on)")
    digits_to_hash: bool = _change(hash_digits, "replace digits by #", "with # for digits")

    def spell(self, text: str) -> str:
        """Return text, whose words are separated by single spaces or line ends, after the changes that are on."""
        for change in self._changes():
            text = change.metadata["apply"](text)
        return text

    def restore_brackets(self, words: Sequence[str]) -> list[str]:
        """Return words with brackets in place of their names; the other changes cannot be undone."""
        return [_BRACKETS.get(word, word) for word in words] if self.brackets_to_names else list(words)

    def participles(self) -> list[str]:
        """Return a phrase for each change that is on, such as `converted to lower case`."""
        return [change.metadata["participle"] for change in self._changes()]

    def _changes(self) -> list[Any]:
        return [change for change in fields(Spelling) if getattr(self, change.name)]


SPELLING_HELP: dict[str, str] = {change.name: change.metadata["help"] for change in fields(Spelling)}
"""The names of all changes and what each does, for flags."""


def spelling_of(settings: object) -> dict[str, bool]:
    """Return the attributes of `settings`, a Spelling or a dataset_config, that have the names of the changes."""
    return {name: getattr(settings, name) for name in SPELLING_HELP}


def names_of_flags() -> str:
    """Return the flags of the changes for a message: `--lower_case, --brackets_to_names and --digits_to_hash`."""
    *others, last = (f"--{name}" for name in SPELLING_HELP)
    return f"{', '.join(others)} and {last}"
