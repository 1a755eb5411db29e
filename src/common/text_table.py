"""Tables as text: aligned columns, wrapped to the width of a page."""
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

_WIDTH = 118  # maximum number of columns of a line


def table_lines(rows: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with one row per line, each preceded by the name of its row.

    Columns that do not fit into the width of the page follow in a further block, after an empty line.

    Args:
        rows: the cells of each row by its name; all rows have the same number of cells.
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
