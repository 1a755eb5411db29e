"""A vocabulary for a model from elsewhere, made of its tokenizer.json, in our order of ids."""
import os
from typing import Any, NamedTuple

from src.common.errors import MassError
from src.export.huggingface.reader import PegasusModel, read_model_json
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary


class ForeignVocabulary(NamedTuple):
    """Our vocabulary, and for each of its tokens the row of the model's embedding table."""

    vocabulary: Dictionary
    rows: list[int]


def foreign_vocabulary(model: PegasusModel) -> ForeignVocabulary:
    """Make a vocabulary of the tokens of a model: our special tokens, then the others in their order.

    The special tokens have the rows of the model's: `<s>` that of the token that its decoder starts with, which may be
    that of `<pad>` or `</s>`, too; `<mask>`, if it has none, that of the unknown token. A token that our files of
    vocabularies cannot hold (with a space, or spelled like a special token) is named `<id_N>`.

    Raises:
        MassError: tokenizer.json is missing or of a kind that is not known.
    """
    content = read_model_json(os.path.join(model.folder, "tokenizer.json"))
    tokens = _tokens(model, content)
    unknown = _unknown(model, content, tokens)
    mask = next((number for number, token in tokens.items() if token in ("<mask>", "<mask_2>", "[MASK]")
                 and number < model.config["vocab_size"]), unknown)
    config = model.config
    special = [config["pad_token_id"], config["decoder_start_token_id"], config["eos_token_id"], unknown, mask]
    others = [number for number in range(config["vocab_size"]) if number not in special]
    seen = set(SPECIAL_TOKENS)
    names = []
    for number in others:
        token = tokens.get(number, "")
        if not token or token in seen or not set(" \n").isdisjoint(token):
            token = f"<id_{number}>"
        seen.add(token)
        names.append(token)
    return ForeignVocabulary(Dictionary((name, 1) for name in names), [*special, *others])


def _tokens(model: PegasusModel, content: Any) -> dict[int, str]:
    """Return the tokens of tokenizer.json by id."""
    try:
        entries = content["model"]["vocab"]
        tokens = ({number: token for token, number in entries.items()} if isinstance(entries, dict) else
                  {number: token for number, (token, _) in enumerate(entries)})
        tokens |= {entry["id"]: entry["content"] for entry in content.get("added_tokens", ())}
        if set(map(type, tokens)) - {int} or set(map(type, tokens.values())) - {str}:
            raise TypeError("its tokens are not texts with numbers")
        return tokens
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MassError(f"{os.path.join(model.folder, 'tokenizer.json')}: not a tokenizer whose tokens are known "
                        f"({type(error).__name__}: {error}); give the vocabulary with --vocab") from error


def _unknown(model: PegasusModel, content: Any, tokens: dict[int, str]) -> int:
    """Return the id of the unknown token."""
    named = content["model"].get("unk_token")
    number = content["model"].get("unk_id")
    if number is None:
        number = next((number for number, token in tokens.items() if token == (named or "<unk>")), None)
    if type(number) is not int or not 0 <= number < model.config["vocab_size"]:
        raise MassError(f"{os.path.join(model.folder, 'tokenizer.json')} names no unknown token; give the vocabulary "
                        f"with --vocab")
    return number
