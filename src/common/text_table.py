"""Rows of cells as lines of text, aligned in columns and wrapped to the width of a page."""
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

_WIDTH = 118  # columns of a line


def table_lines(rows: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the rows below each other, each behind its name; columns that do not fit follow as a further block.

    Args:
        rows: the cells of each row, equally many in all of them.
    """
    indent = 3 + max(14, *map(len, rows))
    widths = [max(map(display_width, cells)) for cells in zip(*rows.values(), strict=True)]
    start = 0
    while start < len(widths):
        end, used = start, 0
        while end < len(widths) and (end == start or used + widths[end] + 1 <= _WIDTH - indent):
            used += widths[end] + 1
            end += 1
        for name, cells in rows.items():
            padded = (cell + " " * (width - display_width(cell)) for cell, width in
                      zip(cells[start:end], widths[start:end], strict=True))
            yield f"  {name:<{indent - 3}} {' '.join(padded)}".rstrip()
        start = end
        if start < len(widths):
            yield ""


def display_width(text: str) -> int:
    """Return the number of terminal columns that a text takes; wide characters, such as Chinese ones, take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else not unicodedata.combining(character)
               for character in text)
