"""Reading the documents: their code blocks, the commands in these, and the files that they name.

A code block is fenced and names its language. An HTML comment on the line before it says what the tests do with it:

    <!-- run -->                 run it (shell blocks; Python blocks are run without being marked)
    <!-- not run: the reason --> do not run it, and allow programs that are not of this repository
    <!-- prints -->              the block that was run last, or before it the front page, printed these lines

The commands of an unmarked shell block are checked, not run: their scripts exist and know the flags. A block that
follows a line beginning with "Create `path`" is the content of a file that the reader makes.
"""
import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.helpers.paths import ROOT

SHELL_LANGUAGES = ("sh", "bash", "shell")
PYTHONS = ("python", "python3", ".venv/bin/python")
FILE_ENDINGS = (".py", ".sh", ".c", ".h")  # a name with one of these is a file of the repository, in whatever folder

_FENCE = re.compile(r"^(\s*)```(\S*)\s*$")
_COMMENT = re.compile(r"^\s*<!-- (.*?) -->\s*$")
_CREATE = re.compile(r"^Create `([^`]+)`")
_INLINE_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_PATH = re.compile(r"^[\w.*?{},<>/-]+$")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    `line` is the number of its opening fence, `marker` the comment before it and `file` the path of the file that it is
    the content of; the last two are empty if there is none.
    """

    line: int
    language: str
    marker: str
    file: str
    text: str

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL_LANGUAGES

    @property
    def is_run(self) -> bool:
        """Whether the tests run it."""
        return not self.file and (self.is_shell and self.marker == "run" or
                                  self.language == "python" and not self.marker.startswith("not run"))


@dataclass(frozen=True)
class Document:
    """A page: its code blocks, and its text without them."""

    path: Path
    blocks: tuple[Block, ...]
    prose: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def inline_code(self) -> list[str]:
        return [" ".join(code.split()) for code in _INLINE_CODE.findall(self.prose)]

    @property
    def links(self) -> list[str]:
        """Targets of the links to files and headings, not those to the web."""
        targets = [first or second for first, second in _LINK.findall(_INLINE_CODE.sub("", self.prose))]
        return [target for target in targets if not re.match(r"[a-z]+:", target)]

    @property
    def anchors(self) -> set[str]:
        """What `#...` may name: the headings as GitHub writes them."""
        titles = re.findall(r"^#+ +(.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def all_documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]


def read_document(path: Path) -> Document:
    """Take a page apart.

    Raises:
        ValueError: a fence is not closed.
    """
    blocks, prose, opened, marker, file = [], [], None, "", ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, lines, indent = (number, fence[2], marker, file), [], len(fence[1])
        elif opened is not None and fence:
            blocks.append(Block(*opened, "\n".join(lines) + "\n"))
            opened, marker, file = None, "", ""
        elif opened is not None:
            lines.append(line[min(indent, len(line) - len(line.lstrip())):])
        else:
            comment = _COMMENT.match(line)
            marker = comment[1] if comment else marker if not line.strip() else ""
            create = _CREATE.match(line)
            file = create[1] if create else "" if line.startswith("#") else file
            prose.append("" if comment else line)
    if opened is not None:
        raise ValueError(f"{path}, line {opened[0]}: this code block does not end")
    return Document(path, tuple(blocks), "\n".join(prose))


def commands(text: str) -> list[list[str]]:
    """The words of each command of a piece of shell, without redirections, comments and assignments before it."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
        lexer.whitespace_split = True
        words, skip = [], False
        for word in lexer:
            if set(word) <= set("|;&"):
                found.append(words)
                words = []
            elif set(word) <= set("<>"):
                skip = True
            elif skip:
                skip = False
            else:
                words.append(word)
        found.append(words)
    for words in found:
        while words and re.match(r"^\w+=", words[0]):
            del words[0]
    return [words for words in found if words]


def script_of(words: list[str]) -> tuple[list[str], list[str]] | None:
    """What a command runs, as `[python, -m, module]`, `[python, script]` or `[sh, script]`, and its arguments.

    None stands for a program that is not of this repository.
    """
    if words[0] in PYTHONS and words[1:2] == ["-m"] and len(words) > 2:
        top = words[2].split(".")[0]
        return (["python", *words[1:3]], words[3:]) if top in repository_entries() else None
    if words[0] in PYTHONS and len(words) > 1 and words[1].endswith(".py"):
        return ["python", words[1]], words[2:]
    if words[0] == "sh" and len(words) > 1 and words[1].endswith(".sh"):
        return ["sh", words[1]], words[2:]
    return None


def repository_entries() -> set[str]:
    """Names at the top of the repository, without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.rstrip("/*").lstrip("/") for line in lines if line[:1] not in "#!"]
    return {entry.name for entry in ROOT.iterdir()
            if not any(fnmatch(entry.name, pattern) for pattern in filter(None, ignored)) and entry.name != ".git"}


def missing_file(word: str) -> bool:
    """Whether a word names a file of the repository that is not there.

    A path does so if its first part is at the top of the repository; paths that users make begin otherwise. A bare
    name does so if it ends like source code. `*`, `{a,b}` and `<name>` stand for what they stand for in a shell.
    """
    word = re.sub(r"(:\d+|::[\w:\[\]-]+)$", "", word).rstrip(".,;:")
    if not _PATH.match(word) or word.startswith("-"):
        return False
    pattern = re.sub(r"<[^>]*>", "*", word).rstrip("/")
    if "/" not in pattern:
        if not pattern.endswith(FILE_ENDINGS) or pattern in FILE_ENDINGS:
            return False
        return not _exists_anywhere(pattern)
    if pattern.split("/")[0] not in repository_entries():
        return False
    return not all(any(ROOT.glob(each)) for each in _expand_braces(pattern))


def _exists_anywhere(pattern: str) -> bool:
    folders = [ROOT / name for name in repository_entries() if (ROOT / name).is_dir()]
    return all(any(ROOT.glob(each)) or any(any(folder.rglob(each)) for folder in folders)
               for each in _expand_braces(pattern))


def _expand_braces(pattern: str) -> list[str]:
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if not braces:
        return [pattern]
    return [expanded for part in braces[1].split(",")
            for expanded in _expand_braces(pattern[:braces.start()] + part + pattern[braces.end():])]


def missing_module(name: str) -> bool:
    """Whether a dotted name such as src.utils.Dictionary begins in the repository and does not lead to anything."""
    parts, place = name.split("."), ROOT
    for i, part in enumerate(parts):
        if (place / part).is_dir():
            place = place / part
            continue
        source = place / f"{part}.py" if (place / f"{part}.py").is_file() else place / "__init__.py"
        rest = parts[i + 1:] if source.name != "__init__.py" else parts[i:]
        return not source.is_file() or bool(rest) and not re.search(rf"\b{re.escape(rest[0])}\b", source.read_text())
    return False
