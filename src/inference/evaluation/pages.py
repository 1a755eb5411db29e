"""Pages of headings, paragraphs, tables and pictures, as one HTML file or as Markdown with separate pictures."""
import base64
import html
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from src.common.files import atomic_output

_STYLE = ("body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
          "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.3em .7em;text-align:left;"
          "vertical-align:top}td.number{text-align:right;white-space:nowrap}img{max-width:100%}")
_NUMBER = re.compile(r"[-\d.,%]+")


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str


class Table(NamedTuple):
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    title: str
    png: bytes


Block = Heading | Paragraph | Table | Picture


def write_page(path: str, title: str, blocks: Sequence[Block]) -> None:
    """Write an `.html` file with embedded pictures, or an `.md` file beside pictures `<name>-1.png`, ...."""
    if path.endswith(".html"):
        _write(path, _html_page(title, blocks))
        return
    parts, pictures = [f"# {_markdown_text(title)}"], 0
    for block in blocks:
        if isinstance(block, Picture):
            pictures += 1
            picture = f"{os.path.splitext(path)[0]}-{pictures}.png"
            _write(picture, block.png)
            parts.append(f"![{_markdown_text(block.title)}](<{os.path.basename(picture)}>)")
        else:
            parts.append(_markdown(block))
    _write(path, "\n\n".join(parts) + "\n")


def _write(path: str, content: str | bytes) -> None:
    with atomic_output(path) as temporary, open(temporary, "wb") as stream:
        stream.write(content if isinstance(content, bytes) else content.encode(errors="backslashreplace"))


def _html_page(title: str, blocks: Sequence[Block]) -> str:
    title = html.escape(title)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n" + "\n".join(map(_html, blocks)) +
            "\n</body></html>\n")


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h2>{html.escape(block.text)}</h2>"
    if isinstance(block, Paragraph):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Picture):
        data, title = base64.b64encode(block.png).decode(), html.escape(block.title)
        return f'<p>{title}<br><img alt="{title}" src="data:image/png;base64,{data}"></p>'
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.header)
    rows = ("".join(f"<td{' class=number' if _NUMBER.fullmatch(cell) else ''}>{html.escape(cell)}</td>"
                    for cell in row) for row in block.rows)
    return f"<table><tr>{head}</tr>\n" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _markdown(block: Heading | Paragraph | Table) -> str:
    if isinstance(block, Heading):
        return f"## {_markdown_text(block.text)}"
    if isinstance(block, Paragraph):
        return _markdown_text(block.text)
    lines = [block.header, ["---"] * len(block.header), *block.rows]
    return "\n".join("| " + " | ".join(cell if cell == "---" else _markdown_text(cell) for cell in line) + " |"
                     for line in lines)


def _markdown_text(text: str) -> str:
    """Escape everything in a text that would be markup."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text).replace("\n", " ")
