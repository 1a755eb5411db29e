"""The corpus of the quick start: what is prose, what is a pair, and that no text is in two splits."""

import pytest

from recipes.docstring_corpus import HELD_OUT, SPLITS, make_corpus, split_of, thin, write_corpus
from recipes.docstrings import Docstring, Reading, read_docstrings
from recipes.prose import is_prose, paragraphs, sentences
from src.common.errors import MassError

NUMPY_STYLE = """Return the larger of two numbers.

The numbers are compared as they are given, without any rounding at all.
It is an error if one of them is not a number.

Parameters
----------
first : float, optional
    The number that is compared with the second one.
second : float

Examples
--------
>>> larger(1, 2)
2

This sentence about the example should not be taken as prose.

Notes
-----
.. math:: a > b

.. note::
   The order of the two numbers is of no importance here.
"""
GOOGLE_STYLE = """Open the door of the house.

Args:
    key (str): The key that opens the door.
        It has to be the right one for this house.
Raises:
    LockedError: If the key does not fit into the lock.

The door is closed again when nobody is at home.
"""


def prose_of(docstring: str, kind: str | None = None) -> list[str]:
    return [sentence for part in paragraphs(docstring) for sentence in sentences(part.text)
            if is_prose(sentence) and kind in (None, part.kind)]


def test_numpy_style_sections():
    assert prose_of(NUMPY_STYLE) == [
        "Return the larger of two numbers.",
        "The numbers are compared as they are given, without any rounding at all.",
        "It is an error if one of them is not a number.",
        "The number that is compared with the second one.",
        "The order of the two numbers is of no importance here.",
    ]
    assert "The number that is compared with the second one." not in prose_of(NUMPY_STYLE, "prose")


def test_google_style_sections():
    assert prose_of(GOOGLE_STYLE) == [
        "Open the door of the house.", "The key that opens the door.", "It has to be the right one for this house.",
        "The door is closed again when nobody is at home.",
    ]


def test_code_blocks_lists_and_fields():
    docstring = """Call it like this, which is a common way::

        The body of a literal block is not prose at all.

    - The first item of the list is here.
    - The second one goes on
      in the next line of the list.

    :param door: The door that is to be opened now.
    :raises Error: This is what a field of errors says.
    """
    found = prose_of(docstring.replace("\n    ", "\n"))
    assert found == ["The first item of the list is here.", "The second one goes on in the next line of the list.",
                     "The door that is to be opened now.", "This is what a field of errors says."]


@pytest.mark.parametrize(("text", "expected"), [
    ("It is done. Then it ends.", ["It is done.", "Then it ends."]),
    ("Use one, e.g. Python, i.e. A or B. The rest stays.", ["Use one, e.g. Python, i.e. A or B.", "The rest stays."]),
    ("Version 3.11 is needed. 12 are left!", ["Version 3.11 is needed.", "12 are left!"]),
    ("See :class:`~a.b.Door` and ``x`` or *this* and **that** [1]_.", ["See a.b.Door and x or this and that."]),
    ("See `the manual <http://x.y>`_ for more.", ["See the manual for more."]),
])
def test_sentences(text, expected):
    assert list(sentences(text)) == expected


@pytest.mark.parametrize("text", [
    "the first letter is a small one here.", "It has no end of a sentence", "Too short.", "Set x_max = 3 in the file.",
    "See https://example.org for more of this.", "Der Hund ist heute nicht im Haus.", "A paren (that is never closed.",
    "Foo Bar Baz Qux Quux Corge.", "ValueError: If the value is not right.", "Über the top of all of the things.",
])
def test_not_prose(text):
    assert not is_prose(text)


def test_pairs_take_summary_and_description():
    corpus = make_corpus([
        Docstring("numpy", "larger_of", NUMPY_STYLE),
        Docstring("numpy", "larger_of", GOOGLE_STYLE.replace("house", "car")),
        Docstring("numpy", "larger_of", "There is a summary here.\n\nToo short a description."),
        Docstring("numpy", "larger_of", "no summary at all\n\nThis description is long enough but has no summary "
                                        "before it."),
        Docstring("numpy", "larger_of", "Close the old window.\n\nThe idea is to close the old window. "
                                        "That keeps the cold air outside of the house in winter."),
    ])
    assert [(pair.target, pair.source) for pair in corpus.pairs["train"]] == [
        ("Return the larger of two numbers.",
         "larger of : The numbers are compared as they are given, without any rounding at all . "
         "It is an error if one of them is not a number . The order of the two numbers is of no importance here ."),
        ("Open the door of the car.", "larger of : The door is closed again when nobody is at home ."),
        ("Close the old window.", "larger of : That keeps the cold air outside of the house in winter ."),
    ]


def test_parameters_are_added_to_a_short_description_in_the_train_split():
    text = "Open the door of the house.\n\nArgs:\n    key (str): The key that opens the door of the house.\n" \
           "        It has to be the right one for this house.\n"
    corpus = make_corpus([Docstring(package, "larger_of", text.replace("house", place)) for package, place in (
        ("numpy", "car"), (min(HELD_OUT["test"]), "barn"), (min(HELD_OUT["valid"]), "shop"))])
    assert [(pair.target, pair.source) for pair in corpus.pairs["train"]] == [
        ("Open the door of the car.",
         "larger of : The key that opens the door of the car . It has to be the right one for this car .")]
    assert not corpus.pairs["test"] and not corpus.pairs["valid"]


def test_boilerplate_is_removed_from_descriptions():
    text = "Do the thing number {0}.\n\nThis interface is going to be removed soon. It makes {0} copies of the thing " \
           "and puts them away."
    docstrings = [Docstring("numpy", "larger_of", text.format(number)) for number in range(5)]
    assert all("removed" not in pair.source for pair in make_corpus(docstrings).pairs["train"])


def test_long_descriptions_end_after_a_sentence():
    long = "The thing is what it is and that is all of it. "
    text = "Do a thing.\n\n" + "".join(long.replace("thing", f"thing {i}") for i in range(40))
    source = make_corpus([Docstring("numpy", "larger_of", text)]).pairs["train"][0].source
    assert source.endswith("that is all of it .") and 100 < len(source.replace(" .", ".").split()) <= 120


def test_no_text_is_in_two_splits():
    held_out = {split: sorted(packages)[0] for split, packages in HELD_OUT.items()}
    text = "Return the Larger of two numbers.\n\nThe numbers are compared as they are given to the function."
    same_summary = text.upper().capitalize() + "\nIt is not the same after this."
    same_description = text.replace("Return the Larger", "Take the smaller")
    corpus = make_corpus([
        *(Docstring(held_out[split], "larger_of", text) for split in ("valid", "test")),
        Docstring("numpy", "larger_of", same_summary), Docstring("numpy", "least", same_description),
        Docstring("numpy", "larger_of", GOOGLE_STYLE)])
    assert [len(corpus.pairs[split]) for split in SPLITS] == [1, 0, 1]
    assert "Return the Larger of two numbers." not in corpus.sentences["train"]
    assert not HELD_OUT["test"] & HELD_OUT["valid"]
    assert [split_of(name) for name in ("mindspore", held_out["valid"], held_out["test"])] == list(SPLITS)


@pytest.mark.parametrize("name, words", [
    ("get_mode_base", "get mode base"), ("HTTPConnection2", "http connection 2"), ("isEmpty", "is empty"),
    ("__init__", "init"), ("_", ""), ("putpixel", "putpixel")])
def test_a_description_begins_with_the_words_of_the_name(name, words):
    [pair] = make_corpus([Docstring("numpy", name, GOOGLE_STYLE)]).pairs["train"]
    assert pair.source == (f"{words} : " if words else "") + "The door is closed again when nobody is at home ."


def test_thin_keeps_the_order_and_the_spread():
    assert thin(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert thin([1, 2], 5) == [1, 2]


def test_reading_is_ordered_and_counts_unreadable_files(tmp_path):
    for name, content in {
        "b/__init__.py": b'"""Module b."""\nif True:\n    def f():\n        """Function f."""\n',
        "a.py": b'"""Module a."""\nclass C:\n    """Class C."""\n    async def m(self):\n        """Method m."""\n',
        "_a.py": b'"""Underscore a."""', "bad.py": b'"""\xff"""', "worse.py": b'"""x""" this is not Python',
        "b/tests/t.py": b'"""A test."""', "b/_vendor/v.py": b'"""A copy."""', "c.txt": b'"""Text."""',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    reading = Reading()
    found = list(read_docstrings([str(tmp_path)], reading))
    assert found == [Docstring(*fields) for fields in (
        ("a", "_a", "Underscore a."), ("a", "a", "Module a."), ("a", "C", "Class C."), ("a", "m", "Method m."),
        ("b", "b", "Module b."), ("b", "f", "Function f."))]
    assert (reading.files, reading.docstrings, reading.unreadable) == (5, 6, 2)


def test_empty_corpus_is_an_error(tmp_path):
    with pytest.raises(MassError, match="no docstring"):
        write_corpus(make_corpus([]), str(tmp_path))
