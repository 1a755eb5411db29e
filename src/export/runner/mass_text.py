# Part of MASS on MindSpore, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""Raw text to token ids and back, for a model that was exported from MASS on MindSpore. It needs Python only.

It reads `runner.json`, the vocabulary and the BPE codes beside it. `runner.json` holds the rules of tokenization and of
its undoing: regular expressions, each with the text that replaces every match.
"""
import gzip
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

PAD, BOS, EOS, UNK, MASK = range(5)
_END, _SEPARATOR, _SPECIAL = "</w>", "@@", ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
_KNOWN_WORDS = 50_000  # words whose subwords are remembered


def read_settings(folder: str) -> dict[str, Any]:
    """Return the content of runner.json."""
    with open(os.path.join(folder, "runner.json"), encoding="utf-8") as stream:
        return json.load(stream)


class Text:
    """The processing of raw text that the model was trained with."""

    def __init__(self, folder: str):
        settings = read_settings(folder)
        self._settings, self._unknown = settings, settings["unknown"]
        self._rules, self._output_rules = (
            [(re.compile(pattern), replacement) for pattern, replacement in settings[name]]
            for name in ("rules", "output_rules"))
        with gzip.open(os.path.join(folder, settings["vocabulary"]), "rt", encoding="utf-8") as stream:
            vocabulary = json.load(stream)
        self.tokens: list[str] = vocabulary["symbols"]
        self._frequencies = vocabulary["frequencies"]
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        self._whole = {*_SPECIAL, *settings["unknown_spellings"], self._unknown}
        self._ids.update(dict.fromkeys(self._whole, UNK))
        self._ranks, self._joined_end = {}, True
        if settings["codes"]:
            self._read_codes(os.path.join(folder, settings["codes"]))
        self._subwords_of: dict[str, list[str]] = {}

    def subwords(self, sentence: str) -> list[str]:
        """Return the subwords of a raw sentence."""
        found: list[str] = []
        for word in self._words(sentence):
            if word not in self._subwords_of:
                if len(self._subwords_of) >= _KNOWN_WORDS:
                    self._subwords_of.clear()
                self._subwords_of[word] = self._split(word)
            found += self._subwords_of[word]
        return found

    def ids(self, subwords: Sequence[str]) -> list[int]:
        """Return the ids of subwords with that of `</s>`; those that the model cannot read are left out."""
        ids = [self._id(token) for token in subwords if not token.isspace()]
        return [*ids[: self._settings["seq_length"] - 1], EOS]

    def text(self, tokens: Sequence[str]) -> str:
        """Return predicted tokens as text."""
        marked = [self._unknown + token.removeprefix(_SPECIAL[UNK]) if token.removesuffix(_SEPARATOR) == _SPECIAL[UNK]
                  else token for token in tokens]
        joined = " ".join(marked).removesuffix(_SEPARATOR).replace(_SEPARATOR + " ", "")
        words = [_SPECIAL[UNK] if self._unknown in word else word for word in joined.split(" ")]
        return _replace(self._output_rules, " ".join(" ".join(words).split()))

    def _words(self, sentence: str) -> list[str]:
        text = _replace(self._rules, sentence.replace("\n", " "))
        if self._settings["tokenizer"] == "jieba":
            try:
                import jieba
            except ImportError:
                sys.exit("the text of this model is tokenized by jieba: pip install jieba")
            jieba.setLogLevel("WARNING")
            whole = self._settings["whole_words"]  # words of other alphabets, which jieba would split
            pieces = re.split(whole, text) if whole else [text]
            text = " ".join(word for number, piece in enumerate(pieces)
                            for word in ([piece] if number % 2 else jieba.cut(piece)) if word != " ")
        words = text.split(" ") if text else []
        if self._settings["lower_case"]:
            words = [word if word in self._whole else word.lower() for word in words]
        words = [self._settings["bracket_names"].get(word, word) for word in words]
        if self._settings["digits_to_hash"]:
            words = [re.sub("[0-9]", "#", word) for word in words]
        return words

    def _id(self, token: str) -> int:
        if token in self._ids:
            return self._ids[token]
        number = self._ids.get(token.lower(), UNK)
        return number if self._frequencies[number] >= self._settings["lower_case_min_frequency"] else UNK

    def _read_codes(self, path: str) -> None:
        with open(path, encoding="utf-8", newline="\n") as stream:
            lines = stream.read().rstrip("\n").split("\n")
        if lines[0].startswith("#version:"):
            self._joined_end = lines.pop(0).split(":")[1].strip() != "0.1"
        else:
            self._joined_end = False
        for line in lines:
            self._ranks.setdefault(tuple(line.strip("\r ").split(" ")), len(self._ranks))

    def _split(self, word: str) -> list[str]:
        """Apply the BPE codes to a word, the most frequent pair first (Sennrich et al., 2016)."""
        if word in self._whole or not self._ranks:
            return ["<unk>" if word == self._unknown else word]
        parts = [*word[:-1], word[-1] + _END] if self._joined_end else [*word, _END]
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:], strict=False))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            merged, place = [], 0
            while place < len(parts):
                if tuple(parts[place : place + 2]) == best:
                    merged.append(best[0] + best[1])
                    place += 2
                else:
                    merged.append(parts[place])
                    place += 1
            parts = merged
        if parts[-1] == _END:
            parts.pop()
        else:
            parts[-1] = parts[-1].removesuffix(_END)
        return [part + _SEPARATOR for part in parts[:-1]] + parts[-1:]


def _replace(rules: Sequence[tuple[re.Pattern[str], str]], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text
