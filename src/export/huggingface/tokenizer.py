"""tokenizer.json: a pipeline of the package `tokenizers` that turns raw text into our token ids, and ids into text.

The steps are a normalizer (the rules of text_rules.py, lower case, brackets, digits), a pre-tokenizer (words are
separated by spaces), the BPE codes as a model, a post-processor that appends `</s>`, and a decoder that joins subwords
and undoes tokenization.

subword-nmt ends a subword inside a word with `@@`; `tokenizers` ends the last subword of a word with `</w>` instead. So
our token `Hel@@` is the piece `Hel`, and our token `lo` is the piece `lo</w>`.

The codes can make pieces that the vocabulary lacks. We map them to `<unk>`, or to their lower-case form if that is
frequent; `tokenizers` needs an id for each. They get ids after those of the vocabulary (`extra_ids`), whose embeddings
are copies of the row that we map them to, and which the model never predicts.
"""
import os
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from src.common.errors import MassError
from src.common.json_files import write_json
from src.export.text_rules import ONIGURUMA, character_ranges, detokenization_rules, text_rules, whole_word
from src.text.spelling import BRACKET_NAMES
from src.text.text_processing import TextProcessing
from src.utils.bpe.codes import END, BpeCodes
from src.utils.bpe.encoders import SEPARATOR
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, MASK_INDEX, PAD_INDEX, SPECIAL_TOKENS, UNK_INDEX, Dictionary

SPECIAL_IDS = {"pad_token": PAD_INDEX, "bos_token": BOS_INDEX, "eos_token": EOS_INDEX, "mask_token": MASK_INDEX}
"""Special tokens by their names in transformers. `<unk>` is not one, because predictions show it."""


class PieceTable:
    """The pieces of a tokenizer and their ids.

    Raises:
        MassError: the codes are of a version that `tokenizers` cannot apply.
    """

    def __init__(self, text: TextProcessing, vocabulary: Dictionary):
        self.codes = BpeCodes.load(text.codes) if text.codes else None
        if self.codes and not self.codes.joined_end:
            raise MassError(f"{text.codes}: BPE codes of version 0.1 cannot be exported; codes of version 0.2, which "
                            f"scripts/learn_subword.sh learns, can")
        self.ids = {self._piece(token, number): number for number, token in enumerate(vocabulary.tokens)}
        self.extra_ids: list[int] = []
        """The id of the vocabulary that each further id stands for, in the order of the further ids."""
        for token in self._reachable(vocabulary):
            piece, known = self._piece(token, UNK_INDEX + 1 + len(SPECIAL_TOKENS)), vocabulary.text_index[token]
            if piece not in self.ids:
                self.ids[piece] = len(vocabulary) + len(self.extra_ids)
                self.extra_ids.append(known)

    def _piece(self, token: str, number: int) -> str:
        if not self.codes or number < len(SPECIAL_TOKENS):
            return token
        return token.removesuffix(SEPARATOR) if token.endswith(SEPARATOR) else token + END

    def _reachable(self, vocabulary: Dictionary) -> Iterator[str]:
        """Yield tokens that text can become and that are not in the vocabulary, but need an id."""
        if not self.codes:  # all other words of the same letters could be made as well; these are the usual ones
            for token in vocabulary.tokens[len(SPECIAL_TOKENS):]:
                yield from (form for form in (token.capitalize(), token.upper())
                            if vocabulary.text_index[form] != UNK_INDEX)
            return
        for symbol in self.codes.number_symbols():
            yield symbol.removesuffix(END) if symbol.endswith(END) else symbol + SEPARATOR
        for character in _upper_case_characters():
            yield from (token for token in (character, character + SEPARATOR)
                        if vocabulary.text_index[token] != UNK_INDEX)


@cache
def _upper_case_characters() -> list[str]:
    """Return all characters that `lower` changes."""
    return [character for character in map(chr, range(sys.maxunicode + 1)) if character.lower() != character]


def write_tokenizer(text: TextProcessing, vocabulary: Dictionary, pieces: PieceTable, max_length: int,
                    folder: str) -> None:
    """Write tokenizer.json and tokenizer_config.json.

    Args:
        max_length: the number of tokens of a source, with `</s>`.
    """
    make_tokenizer(text, vocabulary, pieces).save(os.path.join(folder, "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"], "padding_side": "right", "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        # A special token that is spelled out in a text is an unknown word.
        "split_special_tokens": True, **{name: SPECIAL_TOKENS[number] for name, number in SPECIAL_IDS.items()}}
    write_json(os.path.join(folder, "tokenizer_config.json"), settings)


def make_tokenizer(text: TextProcessing, vocabulary: Dictionary, pieces: PieceTable) -> Any:
    """Return a tokenizers.Tokenizer."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    unknown, end = SPECIAL_TOKENS[UNK_INDEX], SPECIAL_TOKENS[EOS_INDEX]
    if pieces.codes:
        model = models.BPE(pieces.ids, list(pieces.codes.pairs), unk_token=unknown, end_of_word_suffix=END)
    else:
        model = models.WordLevel(pieces.ids, unk_token=unknown)
    tokenizer = Tokenizer(model)
    steps = [normalizers.Replace(Regex(pattern), content) for pattern, content in text_rules(text, ONIGURUMA)]
    if text.lower_case:
        steps += [normalizers.Replace(Regex(_final_sigma()), "ς"), normalizers.Lowercase()]
    if text.brackets_to_names:
        steps += [normalizers.Replace(Regex(whole_word(bracket)), name) for bracket, name in BRACKET_NAMES.items()]
    if text.digits_to_hash:
        steps.append(normalizers.Replace(Regex("[0-9]"), "#"))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, EOS_INDEX)])
    joined = [decoders.Replace(unknown, unknown + END), decoders.BPEDecoder(suffix=END), decoders.Fuse(),
              decoders.Replace(Regex(f"[^ ]*{unknown}[^ ]*"), unknown)]
    rules = detokenization_rules(text, ONIGURUMA)
    if pieces.codes or rules:
        tokenizer.decoder = decoders.Sequence(
            (joined if pieces.codes else [decoders.WordPiece("\ufdd2", cleanup=False), decoders.Fuse()])
            + [decoders.Replace(Regex(pattern), content) for pattern, content in rules])
    tokenizer.add_special_tokens([AddedToken(SPECIAL_TOKENS[number], special=True, normalized=False)
                                  for number in SPECIAL_IDS.values()])
    return tokenizer


@cache
def _final_sigma() -> str:
    """What Python's `lower` makes ς of: Σ after a letter with cases and before none, whatever marks stand between."""
    cased = character_ranges(lambda one: (one + "Σ").lower().endswith("ς"))
    ignored = character_ranges(lambda one: ("A" + one + "Σ").lower().endswith("ς")
                               and not (one + "Σ").lower().endswith("ς"))
    return rf"[{cased}][{ignored}]*\KΣ(?![{ignored}]*[{cased}])"
