"""Pickled vocabularies of the earlier implementation are read in all their forms, and their code is never run."""
import builtins
import copyreg
import os
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import MassError
from src.utils import dictionary
from src.utils.dictionary import SPECIAL_TOKENS, Dictionary
from src.utils.pickled_dictionary import PickledDictionary, convert_dictionary, read_pickled_dictionary

TOKENS = [*SPECIAL_TOKENS, "the", "Paris", "a@@", "é"]
FREQUENCIES = [0, 0, 0, 7, 0, 9, 3, 5, 1]  # not descending: ids must stay all the same
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def old_class(monkeypatch):
    """The class of the earlier implementation, which had the same name as the current one."""
    old = type("Dictionary", (), {"__module__": dictionary.__name__})
    monkeypatch.setattr(dictionary, "Dictionary", old)
    return old


def make(old_class, **attributes):
    old = old_class()
    old.__dict__.update(attributes)
    return old


def write(path, thing, protocol=4) -> str:
    path.write_bytes(thing if isinstance(thing, bytes) else pickle.dumps(thing, protocol=protocol))
    return str(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attributes", [
    {"symbols": TOKENS, "frequencies": FREQUENCIES},
    {"_symbols": tuple(TOKENS), "_frequency": FREQUENCIES, "pad_index": 0, "index": {"ignored": 1}},
    {"index": {token: index for index, token in enumerate(TOKENS)}, "count": dict(enumerate(FREQUENCIES))},
    {"_Dictionary__symbols": dict(enumerate(TOKENS)), "freq": dict(zip(TOKENS, FREQUENCIES, strict=True))},
    {"symbols": TOKENS, "counts": {"<unk>": 7, "the": 9, "Paris": 3, "a@@": 5, "é": 1}},
], ids=["lists", "other names", "by id", "by token", "special tokens not counted"])
def test_all_forms_of_pickled_dictionaries_are_read(tmp_path, old_class, attributes, protocol):
    old = read_pickled_dictionary(write(tmp_path / "v.bin", make(old_class, **attributes), protocol))
    assert (old.tokens, old.frequencies) == (TOKENS, FREQUENCIES)
    converted = convert_dictionary(old)
    assert converted.tokens == TOKENS and converted.frequencies[5:] == FREQUENCIES[5:]


def test_a_class_with_slots(tmp_path, monkeypatch, old_class):
    slotted = type("Dictionary", (), {"__module__": old_class.__module__, "__slots__": ("symbols", "count")})
    monkeypatch.setattr(dictionary, "Dictionary", slotted)
    old = slotted()
    old.symbols, old.count = TOKENS, FREQUENCIES
    assert read_pickled_dictionary(write(tmp_path / "v.bin", old)).tokens == TOKENS


def test_loading_an_old_dictionary_as_a_vocabulary_is_refused(tmp_path, old_class):
    for protocol in PROTOCOLS:
        path = write(tmp_path / "v.bin", make(old_class, symbols=TOKENS), protocol)
        with pytest.raises(MassError, match="pickle.*vocabulary.py convert"):
            Dictionary.load_from_persisted_dict(path)


@given(st.permutations(SPECIAL_TOKENS), st.lists(st.text("abcd", min_size=1), unique=True), st.integers(0, 5))
def test_renumbering_moves_special_tokens_only(special, words, place):
    tokens = [*words[:place], *special, *words[place:]]
    frequencies = list(range(1, len(tokens) + 1))
    old = PickledDictionary("v.bin", tokens, frequencies)
    converted = convert_dictionary(old, renumber=True)
    assert converted.tokens == [*SPECIAL_TOKENS, *words]
    for word in words:
        assert converted.frequencies[converted.index[word]] == frequencies[tokens.index(word)]
    if tokens != converted.tokens:
        with pytest.raises(MassError, match=r"v\.bin: its ids cannot be kept.*--renumber"):
            convert_dictionary(old)


def test_renumbering_adds_special_tokens_and_drops_invalid_ones():
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "", "new york", "b", "a"]
    converted = convert_dictionary(PickledDictionary("v.bin", tokens, [0] * 4 + [8, 3, 2, 1]), renumber=True)
    assert converted.tokens == [*SPECIAL_TOKENS, "b", "a"] and converted.frequencies[5:] == [2, 1]
    with pytest.raises(MassError, match="twice: 'b'"):
        convert_dictionary(PickledDictionary("v.bin", [*SPECIAL_TOKENS, "b", "b"], [0] * 7), renumber=True)


@pytest.mark.parametrize("attributes, complaint", [
    ({}, "this Dictionary has no list of tokens; it has no attributes"),
    ({"symbols": TOKENS}, r"not have a frequency for each of its 9 tokens; it has symbols \(list\)"),
    ({"symbols": [1, 2], "count": FREQUENCIES}, "no list of tokens"),
    ({"index": {"a": 0, "b": 2}}, "no list of tokens"),
    ({"symbols": TOKENS, "count": FREQUENCIES[:-1]}, "not have a frequency"),
    ({"symbols": TOKENS, "count": {"the": 1}}, "not have a frequency"),
    ({"symbols": TOKENS, "count": [0.5] * 9}, "not have a frequency"),
])
def test_attributes_that_do_not_form_a_vocabulary(tmp_path, old_class, attributes, complaint):
    with pytest.raises(MassError, match=complaint):
        read_pickled_dictionary(write(tmp_path / "v.bin", make(old_class, **attributes)))


@pytest.mark.parametrize("data", [b"", b"the 3\n", b"\x80\x04.", b"\x80\x04]", b"\x80\x04\x96" + 7 * b"\xff" + b"\x7f"])
def test_damaged_pickles_are_rejected(tmp_path, data):
    with pytest.raises(MassError, match="not a pickle, or damaged"):
        read_pickled_dictionary(write(tmp_path / "v.bin", data))


@pytest.mark.parametrize("thing", [[1, 2], {"a": 1}, None])
def test_a_pickle_of_another_class_is_rejected(tmp_path, thing):
    with pytest.raises(MassError, match=f"a pickle of {type(thing).__name__}, not of a Dictionary"):
        read_pickled_dictionary(write(tmp_path / "v.bin", thing))


class Calls:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class SetsItsState:
    """An object whose __setstate__ an ordinary unpickler would call."""

    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        raise AssertionError("__setstate__ was called")


def hostile(marker):
    """Pickles that would create the file `marker` or call a function; byte strings are written opcode by opcode."""
    command = f"touch {marker}"
    things = {
        "system": Calls(os.system, command),
        "eval": Calls(builtins.eval, f"open({marker!r}, 'w')"),
        "getattr": Calls(builtins.getattr, "text", "upper"),
        "another class": SetsItsState(),
        "reconstructor of another class": Calls(copyreg._reconstructor, SetsItsState, object, None),
        "reconstructor from a base": Calls(copyreg._reconstructor, dict, dict, {}),
        "another pickle": Calls(pickle.loads, pickle.dumps(Calls(os.system, command))),
        "a list with a call": [1, Calls(os.system, command)],
    }
    in_text = command.encode()
    things |= {
        "system, protocol 0": b"cposix\nsystem\n(V" + in_text + b"\ntR.",
        "inst": b"(V" + in_text + b"\niposix\nsystem\n.",
        "obj": b"(cposix\nsystem\nV" + in_text + b"\no.",
        "new object": b"\x80\x02cbuiltins\ndict\n)\x81.",
        "a module that is not loaded": b"cthis\nd\n.",
        "dots in the name": b"\x80\x04\x8c\x04utilsx\x8c\x04\x93.",
        "through Dictionary": b"\x80\x04\x8c\x0adictionary\x8c\x1bDictionary.__init__.__globals\x93.",
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id": b"Psomewhere\n.",
        "Dictionary called with arguments": b"cdictionary\nDictionary\n(V" + in_text + b"\ntR.",
        "state for the class": b"cdictionary\nDictionary\n}V__init__\nV" + in_text + b"\nsb.",
        "state for the reconstructor": b"ccopyreg\n_reconstructor\n(N}V__class__\ncdictionary\nDictionary\nstb.",
        "reconstructor without arguments": b"ccopyreg\n_reconstructor\n)R.",
        "object called": b"cbuiltins\nobject\n)R.",
    }
    return things


NAMES = sorted(hostile("marker"))


@pytest.mark.parametrize("name", NAMES)
def test_malicious_pickles_run_no_code(tmp_path, old_class, name):
    marker = tmp_path / "it_ran"
    thing = hostile(str(marker))[name]
    paths = [write(tmp_path / "v.bin", thing)]
    if not isinstance(thing, bytes):  # also inside a valid Dictionary, in every protocol
        valid = make(old_class, symbols=TOKENS, frequencies=FREQUENCIES, more=thing)
        paths += [write(tmp_path / f"{protocol}.bin", valid, protocol) for protocol in PROTOCOLS]
    for path in paths:
        with pytest.raises(MassError, match="refused, no code was run|not a pickle, or damaged"):
            read_pickled_dictionary(path)
    assert not marker.exists() and "this" not in sys.modules


def test_a_state_with_names_of_methods_is_only_data(tmp_path, old_class):
    names = ("__class__", "__setstate__", "__reduce__", "attributes")
    valid = make(old_class, symbols=TOKENS, frequencies=FREQUENCIES, **dict.fromkeys(names, "data"))
    old = read_pickled_dictionary(write(tmp_path / "v.bin", valid))
    assert convert_dictionary(old).tokens == TOKENS
