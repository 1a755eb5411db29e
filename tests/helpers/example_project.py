"""A copy of the repository with small data and small recipes, in which the commands of the documents can be run."""
import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.helpers.paths import ROOT

_COPIED = ("benchmarks", "config", "docs", "recipes", "scripts", "src")
_SUBJECTS = ("police", "soldiers", "doctors", "farmers", "ministers", "players", "teachers", "workers")
_VERBS = ("arrested", "helped", "visited", "praised", "warned", "met", "criticized", "joined")
_OBJECTS = ("protesters", "bankers", "voters", "students", "refugees", "investors", "sailors", "judges")
_PLACES = ("Paris", "Berlin", "Nairobi", "Lima", "Oslo", "Delhi", "Cairo", "Quito")
_DAYS = ("Monday", "Tuesday", "Friday", "Sunday")


def make_project(folder: Path) -> None:
    """Copy program and documents, shrink its recipes, and write the text that the documents suppose the user has."""
    for path in [*ROOT.glob("*.py"), *ROOT.glob("requirements*.txt")]:
        shutil.copy2(path, folder)
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name)
    for name in ("news", "gigaword", "cornell"):
        _shrink(folder / "config" / f"{name}_small.json")
    _write_text(folder)


def _shrink(path: Path) -> None:
    """Make the recipe one of ten steps of a tiny network, and change nothing else in it."""
    changes = {"dataset_config": {"max_tokens": 256},
               "model_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                                "intermediate_size": 16, "max_decode_length": 16},
               "checkpoint_options": {"save_ckpt_steps": 2, "keep_ckpt_max": 5},
               "training_config": {"max_steps": 10, "valid_steps": 2, "log_steps": 2}}
    nodes = json.loads(path.read_text())
    for node, keys in changes.items():
        nodes[node].update(keys)
    path.write_text(json.dumps(nodes))


def _write_text(folder: Path) -> None:
    """Sentences in news/, pairs of sentence and headline in pairs/ and gigaword/, a conversation in cornell/."""
    generator = random.Random(0)
    _write(folder / "news/raw/news.txt", [source for source, _ in _pairs(generator, 500)])
    _write(folder / "news/raw_valid/news_valid.txt", [source for source, _ in _pairs(generator, 40)])
    _write(folder / "articles.txt", [source for source, _ in _pairs(generator, 5)])
    for split, count in (("train", 200), ("valid", 40), ("test", 20)):
        sources, targets = zip(*_pairs(generator, count), strict=True)
        _write(folder / f"pairs/raw/{split}.src.txt", sources)
        _write(folder / f"pairs/raw/{split}.tgt.txt", targets)
    for names in (("train.article", "train.title"), ("valid.article.filter", "valid.title.filter"),
                  ("test.input", "test.task1_ref0")):
        for name, texts in zip(names, zip(*_pairs(generator, 30), strict=True), strict=True):
            _write(folder / f"gigaword/text/{name}.txt", [text.replace(",", " ,").lower() for text in texts])
    _write(folder / "articles.reference.txt", [target for _, target in _pairs(generator, 5)])
    _write_films(folder / "cornell", generator)


def _write_films(folder: Path, generator: random.Random) -> None:
    """Twenty films of one conversation each, in the format in which the Cornell corpus is published."""
    lines, conversations, mark = [], [], " +++$+++ "
    for film in range(20):
        ids = [f"L{10 * film + i}" for i in range(4)]
        for line_id, (source, _) in zip(ids, _pairs(generator, 4), strict=True):
            lines.append(mark.join([line_id, "u0", f"m{film}", "ANNA", source]))
        conversations.append(mark.join(["u0", "u1", f"m{film}", str(ids)]))
    _write(folder / "movie_lines.txt", lines)
    _write(folder / "movie_conversations.txt", conversations)


def _pairs(generator: random.Random, count: int) -> list[tuple[str, str]]:
    """Sentences and their headlines."""
    pairs = []
    for _ in range(count):
        subject, verb, target, place, day = map(generator.choice, (_SUBJECTS, _VERBS, _OBJECTS, _PLACES, _DAYS))
        number = generator.randint(2, 99)
        pairs.append((f"The {subject} {verb} {number} {target} in {place} on {day}, an official said.",
                      f"{subject} {verb} {target} in {place}"))
    return pairs


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
