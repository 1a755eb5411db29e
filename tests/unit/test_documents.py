"""Everything that the documents name exists: scripts, flags, files, keys, links, and the messages they explain."""
import ast
import dataclasses
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from config.loading import NODES
from tests.helpers.documents import (
    all_documents,
    commands,
    missing_file,
    missing_module,
    read_document,
    repository_entries,
    script_of,
)
from tests.helpers.paths import ROOT

DOCUMENTS = [pytest.param(read_document(path), id=str(path.relative_to(ROOT))) for path in all_documents()]
LANGUAGES = {"sh", "bash", "shell", "python", "text", "json", "c", "diff"}
MARKERS = re.compile(r"run|prints|not run: .+|")
WITH_SUBCOMMANDS = {"vocabulary.py", "launch.py"}
PROGRAMS = {"cat", "grep", "head", "ls"}  # that every machine has
OF_PYTEST = {"scripts/test.sh"}  # hands its arguments on


@cache
def flags_of(*script: str) -> frozenset[str]:
    """All flags that the --help of a script names."""
    command = [sys.executable if script[0] == "python" else "sh", *script[1:], "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHON": sys.executable})
    assert done.returncode == 0, f"{' '.join(script)} --help: {done.stdout}{done.stderr}"
    return frozenset(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", done.stdout)) | {"-h", "--help"}


@cache
def all_flags() -> frozenset[str]:
    """The flags of all scripts."""
    programs = [*ROOT.glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    scripts = [("python", str(path.relative_to(ROOT))) for path in programs if "Parser(" in path.read_text()]
    scripts += [("sh", f"scripts/{path.name}") for path in (ROOT / "scripts").glob("*.sh")
                if path.name not in ("find_python.sh", "launch.sh")]
    scripts += [("python", "vocabulary.py", name) for name in ("show", "compare", "build", "merge", "convert")]
    with ThreadPoolExecutor(2) as threads:
        return frozenset().union(*threads.map(lambda script: flags_of(*script), scripts))


def problems_of_command(words: list[str]) -> list[str]:
    """What is wrong with a command, as far as can be seen without running it."""
    found = script_of(words)
    if found is None:
        return []
    script, arguments = found
    path = script[-1]
    if script[1] == "-m":
        if missing_module(path):
            return [f"there is no module {path}"]
    elif not (ROOT / path).is_file():
        return [f"there is no script {path}"]
    if path in OF_PYTEST:
        return []
    handed_on = arguments[arguments.index("--") + 1:] if "--" in arguments else []
    own = arguments[:len(arguments) - len(handed_on)]
    if path in WITH_SUBCOMMANDS and own and not own[0].startswith("-"):
        script = [*script, own[0]]
    problems = unknown_flags(script, own)
    if handed_on:
        task = own[own.index("-t") + 1] if "-t" in own else "t"
        problems += unknown_flags(["python", "eval.py" if task == "i" else "train.py"], handed_on)
    for flag, value in zip(arguments, arguments[1:], strict=False):
        if flag == "--set" and unknown_key(value.partition("=")[0]):
            problems.append(f"there is no configuration key {value.partition('=')[0]}")
    return problems


def unknown_flags(script: list[str], arguments: list[str]) -> list[str]:
    flags = [word.partition("=")[0] for word in arguments if re.match(r"^--?[A-Za-z]", word)]
    return [f"{' '.join(script[1:])} has no flag {flag}" for flag in flags if flag not in flags_of(*script)]


def unknown_key(name: str) -> bool:
    node, _, key = name.partition(".")
    return node not in NODES or key not in {field.name for field in dataclasses.fields(NODES[node])}


@pytest.mark.parametrize("command, problem", [
    ("python train.py --config FILE --resume", ""),
    ("python train.py --confg FILE", "train.py has no flag --confg"),
    ("python training.py --config FILE", "there is no script training.py"),
    ("python -m recipes.loss_curve", "there is no module recipes.loss_curve"),
    ("python vocabulary.py merge one.bin --count 3", "vocabulary.py merge has no flag --count"),
    ("sh scripts/run_cpu.sh -t t -c FILE -- --resume --ckpt DIR", "train.py has no flag --ckpt"),
    ("MS=1 python train.py --set \\\n model_config.width=3 > log", "there is no configuration key model_config.width"),
    ("cat FILE | python eval.py --inpt - # --input", "eval.py has no flag --inpt"),
])
def test_a_wrong_command_is_seen(command, problem):
    assert [each for words in commands(command) for each in problems_of_command(words)] == [problem] * bool(problem)


@pytest.mark.parametrize("word, missing", [
    ("src/utils/dictionary.py", False), ("src/utils/dictionary.py:12", False), ("src/utils/dictionaries.py", True),
    ("src/{text,dataset}", False), ("src/{text,data}", True), ("scripts/run_*.sh", False), ("scripts/walk_*.sh", True),
    ("news/raw/news.txt", False), ("dictionary.py", False), ("dictionaries.py", True), ("*.py", False),
])
def test_a_missing_file_is_seen(word, missing):
    assert missing_file(word) is missing


@pytest.mark.parametrize("name, missing", [
    ("src.utils.dictionary", False), ("src.utils.Dictionary", False), ("src.utils.dictionary.Dictionary", False),
    ("src.utils.dictionaries", True), ("src.utils.dictionary.Wordlist", True),
])
def test_a_missing_module_is_seen(name, missing):
    assert missing_module(name) is missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_name_their_language_and_what_is_done_with_them(document):
    for block in document.blocks:
        where = f"line {block.line}"
        assert block.language in LANGUAGES, f"{where}: language {block.language!r}"
        assert MARKERS.fullmatch(block.marker), f"{where}: marker {block.marker!r}"
        if block.is_shell and not block.marker:
            for words in commands(block.text):
                known = script_of(words) or words[0] in PROGRAMS or words[:3] == ["python", "-m", "pytest"]
                assert known, f"{where}: {words[0]!r} cannot be checked; say '<!-- not run: ... -->'"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_code_is_indented_where_a_fence_belongs(document):
    lines = document.prose.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert before.strip() or not line.startswith("    ") or not line.strip(), f"an indented block: {line!r}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_name_scripts_flags_and_keys_that_exist(document):
    pieces = [block.text for block in document.blocks if block.is_shell]
    pieces += [code for code in document.inline_code if re.match(r"(sh|python\d?|\.venv/bin/python) ", code)]
    pieces += [f"python {code}" for code in document.inline_code if re.match(r"\w+\.py -", code)]
    pieces += [f"sh scripts/{code}" for code in document.inline_code if re.match(r"\w+\.sh -", code)]
    problems = [problem for piece in pieces for words in commands(piece) for problem in problems_of_command(words)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_flags_in_the_text_exist(document):
    flags = {code.split()[0].partition("=")[0] for code in document.inline_code if re.match(r"--?[A-Za-z]", code)}
    assert not flags or flags <= all_flags(), flags - all_flags()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_exist(document):
    made = {block.file for block in document.blocks}
    words = {word for code in document.inline_code for word in code.split()}
    words |= {word for block in document.blocks if block.is_shell for line in commands(block.text) for word in line}
    missing = {word for word in words if missing_file(word)}
    missing -= made | {path.rpartition("/")[2] for path in made}
    assert not missing, missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_exist(document):
    names = {code for code in document.inline_code if re.fullmatch(r"[a-z]\w*(\.\w+)+", code)}
    names = {name for name in names if name.split(".")[0] in repository_entries() and not (ROOT / name).is_file()
             and not re.search(r"\.(json|py|md)$", name)}
    assert not {name for name in names if missing_module(name)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_configuration_keys_exist(document):
    nodes = "|".join(NODES)
    texts = [*document.inline_code, *(block.text for block in document.blocks)]
    keys = {key for text in texts for key in re.findall(rf"\b((?:{nodes})\.\w+)", text)}
    added = "".join(re.findall(r"^\+.*\n", "".join(block.text for block in document.blocks), re.MULTILINE))
    assert not {key for key in keys if unknown_key(key) and not re.search(rf"\b{key.split('.')[1]}\b", added)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for link in document.links:
        path, _, anchor = link.partition("#")
        target = (document.path.parent / path).resolve() if path else document.path
        assert target.exists(), link
        assert not anchor or anchor in read_document(target).anchors, link


def test_the_front_page_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120


@pytest.mark.parametrize("document", DOCUMENTS)
def test_lines_of_prose_are_short(document):
    outside = re.sub(r"^ *```.*?^ *```$", "", document.path.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not [line for line in outside.splitlines() if len(line) > 120 and line[0] not in "|!#"]


def test_every_page_is_reached_from_the_front_page():
    links = read_document(ROOT / "README.md").links
    assert {path.relative_to(ROOT).as_posix() for path in all_documents()[1:]} <= {link.split("#")[0] for link in links}


def messages() -> list[str]:
    """The texts that the program is written with; what is put into them at run time is a NUL."""
    texts = [path.read_text() for path in (ROOT / "scripts").glob("*.sh")]
    for path in [*ROOT.glob("*.py"), *(ROOT / "config").rglob("*.py"), *(ROOT / "src").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return [" ".join(text.split()) for text in texts]


def test_the_errors_that_are_explained_are_those_of_the_program():
    """A heading of troubleshooting.md is a message with `...` for what differs from case to case."""
    headings = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(headings) >= 20
    patterns = {heading: re.compile(".*".join(map(re.escape, heading.split("...")))) for heading in headings}
    texts = messages()
    unknown = [heading for heading, pattern in patterns.items() if not any(map(pattern.search, texts))]
    assert not unknown, "\n".join(unknown)
