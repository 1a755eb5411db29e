"""Reading the pickled vocabularies of the earlier implementation without running any code from the pickle.

A pickle is a small program that looks up names and calls them. The reader in this module accepts a single name, the
class `Dictionary` of a module `dictionary`, and replaces it by a class without behaviour that only stores the
attributes. Any other name is an error, so that no function with an effect is ever called.
"""
import io
import pickle
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from src.common.errors import MassError
from src.common.files import require_file
from src.common.regular_files import read_bounded
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary

_MAX_BYTES = 1 << 28
_TOKEN_NAMES = ("symbols", "symbol", "words", "vocab", "index", "indices")
_FREQUENCY_NAMES = ("frequencies", "frequency", "freqs", "freq", "counts", "count")


class PickledDictionary(NamedTuple):
    """Tokens and frequencies in the order of the ids of the earlier implementation."""

    path: str
    tokens: list[str]
    frequencies: list[int]


def read_pickled_dictionary(path: str) -> PickledDictionary:
    """Return the content of a pickled `Dictionary`; nothing that the file names is imported or called.

    Tokens may be stored as a list or as a dictionary (from tokens to ids or from ids to tokens), frequencies as a list
    in the order of ids or as a dictionary (from tokens or from ids).

    Raises:
        MassError: the file is missing, is not such a pickle, names anything else, or lacks tokens or frequencies.
    """
    try:
        data = read_bounded(require_file(path, "pickled vocabulary"), _MAX_BYTES)
        found = _OneClassUnpickler(io.BytesIO(data), encoding="utf-8").load()
    except MassError as error:
        raise MassError(f"{path}: {error}") from error
    except Exception as error:  # a damaged or malicious pickle may raise anything
        raise MassError(f"{path}: not a pickle, or damaged ({type(error).__name__}: {error})") from error
    if not isinstance(found, _StandIn):
        raise MassError(f"{path}: a pickle of {type(found).__name__}, not of a Dictionary")
    attributes = {name.removeprefix("_Dictionary").lstrip("_"): value for name, value in found.attributes().items()}
    tokens = _first(attributes, _TOKEN_NAMES, _tokens_by_id)
    if not tokens:
        raise MassError(f"{path}: this Dictionary has no list of tokens; it has {_describe(attributes)}")
    frequencies = _first(attributes, _FREQUENCY_NAMES, lambda value: _frequencies_by_id(value, tokens))
    if frequencies is None:
        raise MassError(f"{path}: this Dictionary does not have a frequency for each of its {len(tokens)} tokens; it "
                        f"has {_describe(attributes)}")
    return PickledDictionary(path, tokens, frequencies)


def convert_dictionary(old: PickledDictionary, renumber: bool = False) -> Dictionary:
    """Return the vocabulary with the same ids or, with `renumber`, with the special tokens moved to ids 0 to 4.

    Renumbering keeps the order of all other tokens, adds missing special tokens, and leaves out tokens that cannot
    occur in text (the empty token, and tokens with a space).

    Raises:
        MassError: the ids cannot be kept and `renumber` is not given, or a token occurs twice.
    """
    path, tokens, frequencies = old
    if renumber:
        pairs = [(token, frequency) for token, frequency in zip(tokens, frequencies, strict=True)
                 if token not in SPECIAL_TOKENS and token and set(" \n").isdisjoint(token)]
        tokens = [*SPECIAL_TOKENS, *(token for token, _ in pairs)]
        frequencies = [0] * len(SPECIAL_TOKENS) + [frequency for _, frequency in pairs]
    try:
        return Dictionary.from_ids(tokens, frequencies)
    except ValueError as error:
        start = len(SPECIAL_TOKENS)
        raise MassError(
            f"{path}: its ids cannot be kept: {error} (ids 0..{start - 1} are {' '.join(map(repr, tokens[:start]))}). "
            f"Use --renumber for new ids (unless a token occurs twice); checkpoints trained with the old ids cannot be "
            f"used with them"
        ) from error


class _StandIn:
    """Replaces the pickled class Dictionary: it stores the state and does nothing else."""

    __slots__ = ("_state",)

    def __setstate__(self, state: object) -> None:
        self._state = state

    def attributes(self) -> dict[str, object]:
        """Return the attributes by name; the state of a class with slots is a pair of dictionaries or None."""
        state = getattr(self, "_state", None)
        parts = state if isinstance(state, tuple) else (state,)
        return {name: value for part in parts if isinstance(part, dict)
                for name, value in part.items() if isinstance(name, str)}


class _Reconstructor:
    """Replaces `copyreg._reconstructor`, by which pickles of protocols 0 and 1 create objects."""

    __slots__ = ()

    def __call__(self, cls: object, base: object, _state: object) -> _StandIn:
        if cls is not _StandIn or base is not _OBJECT:
            raise MassError("it creates an object of a class other than Dictionary; refused, no code was run")
        return _StandIn()


_OBJECT = "replaces the class object"


class _OneClassUnpickler(pickle.Unpickler):
    """Replaces `Dictionary` and the names that protocols 0 and 1 need to create one; refuses every other name."""

    def find_class(self, module: str, name: str) -> object:
        if name == "Dictionary" and module.split(".")[-1] == "dictionary":
            return _StandIn
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _Reconstructor()
        if (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            return _OBJECT
        raise MassError(f"this pickle names {module}.{name}, which no vocabulary needs; refused, no code was run")


def _first(
    attributes: Mapping[str, object], names: Iterable[str], convert: Callable[[object], list | None]
) -> list | None:
    """Return the first attribute with one of these names that `convert` accepts, converted."""
    candidates = (convert(attributes[name]) for name in names if name in attributes)
    return next((found for found in candidates if found is not None), None)


def _tokens_by_id(value: object) -> list[str] | None:
    if isinstance(value, dict):
        if not all(type(key) is int for key in value):  # from tokens to ids
            value = {index: token for token, index in value.items() if type(index) is int}
        value = [value.get(index) for index in range(len(value))]
    valid = isinstance(value, list | tuple) and all(type(token) is str for token in value)
    return list(value) if valid else None


def _frequencies_by_id(value: object, tokens: list[str]) -> list[int] | None:
    if isinstance(value, dict):
        keys = range(len(tokens)) if all(type(key) is int for key in value) else tokens
        special = [token in SPECIAL_TOKENS for token in tokens]  # special tokens need no frequency
        value = [value.get(key, 0 if known else None) for key, known in zip(keys, special, strict=True)]
    valid = isinstance(value, list | tuple) and len(value) == len(tokens) and all(type(v) is int for v in value)
    return list(value) if valid else None


def _describe(attributes: Mapping[str, object]) -> str:
    return ", ".join(f"{name} ({type(value).__name__})" for name, value in attributes.items()) or "no attributes"
