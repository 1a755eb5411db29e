"""Extracting English prose from docstrings: paragraphs without code and markup, split into sentences."""
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Patterns of lines
RULE = re.compile(r"\s*([-=~^*#+])\1{2,}[-=+ ]*$")
TITLE = re.compile(r"\s*([A-Z][A-Za-z ]{2,30}):$")
PROMPT = re.compile(r"\s*(?:>>>|\.\.\. |In \[|\$ |# )")
DIRECTIVE = re.compile(r"\s*\.\. ")
ADMONITION = re.compile(r"\s*\.\. (?:note|warning|attention|important|tip|hint|caution)::\s*")
BULLET = re.compile(r"\s*(?:[-*+•]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+(?=\S)")
FIELD = re.compile(r"\s*[:@][a-z]+\b[^:`]*:(?!`)\s*")  # :param x:, @return:; not :class:`X`
ARGUMENT = re.compile(r"[*`'\"]*\w[\w.,*`'\" ]{0,40}(?:\([^:]*\))?\s*:\s+")  # x (Tensor): ...
# Sections without prose, and sections with lists of parameters or results
CODE_SECTIONS = {
    "examples", "example", "references", "see also", "supported platforms", "usage", "tutorial examples", "raises",
    "raise", "warns", "methods", "attributes", "functions", "classes", "exceptions", "constants", "symbols", "outline",
}
FIELD_SECTIONS = {
    "parameters", "parameter", "other parameters", "params", "args", "arguments", "keyword args", "keyword arguments",
    "keyword parameters", "kwargs", "inputs", "input", "outputs", "output", "returns", "return", "yields", "receives",
}

# Patterns inside a line
MARKUP = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r":[a-z:]+:`~?[.!]?([^`<]*?)(?:\s*<[^`>]*>)?`", r"\1"),  # :func:`name`, :ref:`words <target>`
    (r"`([^`<]+?)\s*<[^`>]*>`_{0,2}", r"\1"),  # `words <target>`_
    (r"``([^`]*)``|`([^`]*)`_{0,2}", r"\1\2"),
    (r"\*\*([^*\s][^*]*)\*\*", r"\1"),
    (r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])", r"\1"),
    (r"\s*\[(?:\d+|#\w*)\]_?(?!\w)", ""),  # footnotes
    (r"\\ ", ""),
    (r"[“”]|``|''", '"'),
    (r"[‘’]", "'"),
)]
# A full stop after these does not end a sentence, unless a common word follows and the abbreviation is not `inner`.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:(?P<inner>e\.g|i\.e|vs|cf|viz|a\.k\.a|w\.r\.t|resp|approx|incl|[Ff]ig|[Ee]qs?|Dr|Mr|Mrs|Prof|"
    r"St)|[A-Za-z]|etc|al|[Nn]o|[Ss]ec|[Cc]h|Inc|[Rr]ef|[Vv]ol|pp|ed)\.$")
SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s+[\"'(]*[A-Z0-9])")

# Patterns of words
WORD = re.compile(r"[A-Za-z]?[a-z]+(?:[-'/][A-Za-z]?[a-z]+)*|[A-Z]{1,5}s?|(?:[A-Za-z]?[a-z]*-)?[A-Z]+(?:-[a-z]+)?")
NUMBER = re.compile(r"[-+]?\d[\d,.]*(?:%|st|nd|rd|th|-?[dD])?")
COMMON = frozenset((
    "the", "a", "an", "of", "to", "in", "is", "are", "be", "and", "or", "for", "with", "by", "that", "this", "it", "on",
    "as", "at", "from", "not", "if", "can", "will", "has", "have", "which", "when", "you", "its", "all", "any", "into",
    "than", "then", "no", "but", "only", "one", "used", "use", "each", "such", "may", "should", "must", "was", "were",
    "been", "does", "do",
))
FORBIDDEN = re.compile(
    r" [,:;.](?: |$)|\w\): |^\w*(?:Error|Exception|Warning):|[=<>{}|\\^~_@#$\[\]]|"
    r"://|www\.|::|\.\.|--|\.(?:py|com|org|txt|html?)\b|\(\)")


@dataclass
class Paragraph:
    """Lines that belong together."""

    kind: str  # "prose", "item" (of a list) or "field" (of a list of parameters)
    indent: int
    has_marker: bool
    lines: list[str]

    def accepts(self, indent: int) -> bool:
        """Return whether a line with this indentation continues the paragraph."""
        return indent >= self.indent if self.has_marker else abs(indent - self.indent) <= 1

    @property
    def text(self) -> str:
        text = " ".join(self.lines)
        return ARGUMENT.sub("", text, count=1) if self.kind == "field" else text


def paragraphs(docstring: str) -> list[Paragraph]:
    """Return the paragraphs of a dedented docstring in reST, numpydoc or Google style.

    Headings, code, tables and sections without prose are left out. Filter the sentences of the result by `is_prose`.
    """
    found: list[Paragraph] = []
    section, section_indent, is_open = "prose", -1, False
    lines = list(blank_code(docstring))
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        indent = indent_of(line)
        if not line or RULE.match(line):
            is_open = False
            continue
        if indent <= section_indent:  # a Google section ends at the first line that is not indented more than its title
            section, section_indent, is_open = "prose", -1, False
        heading = heading_of(line, following, is_open)
        if heading:
            section = "code" if heading in CODE_SECTIONS else "field" if heading in FIELD_SECTIONS else "prose"
            section_indent = -1 if RULE.match(following) else indent
            is_open = False
        elif section != "code":
            marker = BULLET.match(line) or FIELD.match(line)
            if marker or not is_open or not found[-1].accepts(indent):
                kind = "field" if FIELD.match(line) else "item" if marker else section
                found.append(Paragraph(kind, indent, bool(marker), []))
                is_open = True
            found[-1].lines.append(line[marker.end():] if marker else line.strip())
    return found


def blank_code(docstring: str) -> Iterator[str]:
    """Yield the lines of a docstring; lines of doctests, literal blocks and directives are empty."""
    blanked_indent, in_doctest = None, False
    for line in docstring.expandtabs().split("\n"):
        line = line.rstrip()
        indent = indent_of(line)
        in_doctest = bool(line) and (in_doctest or bool(PROMPT.match(line)))
        if not line or in_doctest or (blanked_indent is not None and indent > blanked_indent):
            yield ""
            continue
        admonition = ADMONITION.match(line)
        is_directive = bool(DIRECTIVE.match(line)) and not admonition
        blanked_indent = indent if is_directive or (line.endswith("::") and not admonition) else None
        yield "" if is_directive else " " * indent + line[admonition.end():] if admonition else line


def heading_of(line: str, following: str, is_open: bool) -> str | None:
    """Return the lower-case title of the section that starts at a line: underlined, or followed by a colon."""
    if RULE.match(following) and not is_open:
        return line.strip(" :").lower()
    title = TITLE.match(line)
    if title and (title[1].lower() in CODE_SECTIONS | FIELD_SECTIONS or indent_of(following) > indent_of(line)):
        return title[1].lower()
    return None


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a paragraph without markup. Not all of them are prose (see `is_prose`)."""
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    text, start = " ".join(text.split()), 0
    for end in SENTENCE_END.finditer(text):
        following = text[end.end():].split(maxsplit=1)[0].strip("\"'(),").lower()
        abbreviation = ABBREVIATION.search(text, start, end.end())
        if not abbreviation or (following in COMMON and not abbreviation["inner"]):
            yield text[start:end.end()].strip()
            start = end.end()
    if start < len(text):
        yield text[start:].strip()


def is_prose(sentence: str, minimum: int = 5, maximum: int = 60) -> bool:
    """Return whether this is a whole English sentence of `minimum` to `maximum` words with few identifiers."""
    words = sentence.split()
    if not minimum <= len(words) <= maximum or not re.match(r"[\"'(]?[A-Z]", sentence):
        return False
    if not re.search(r"[.!?][\"')]*$", sentence) or FORBIDDEN.search(sentence) or not sentence.isascii():
        return False
    if sentence.count("(") != sentence.count(")") or sentence.count('"') % 2:
        return False
    bare = [word.strip("\"'(),.;:!?") for word in words]
    plain = sum(bool(WORD.fullmatch(word)) for word in bare)
    numbers = sum(bool(NUMBER.fullmatch(word)) for word in bare)
    common = sum(word.lower() in COMMON for word in bare)
    return plain >= 0.8 * len(words) and numbers <= 0.2 * len(words) and common >= max(1, 0.15 * len(words))
