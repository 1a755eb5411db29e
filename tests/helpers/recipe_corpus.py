"""A small corpus of sentences and pairs, as a user of the recipe `own` has it."""
import random
from pathlib import Path

from recipes.text_layout import SIDES, SPLITS

WORDS = ("the", "storm", "road", "harbour", "opened", "closed", "again", "monday", "night", "train", "old", "new")


def write_corpus(folder: Path) -> Path:
    """Write news/news.txt and pairs/<split>.<side>.txt, where a target is the first half of its source."""
    generator = random.Random(0)

    def sentence() -> str:
        return " ".join(generator.choice(WORDS) for _ in range(generator.randint(4, 10)))

    (folder / "news").mkdir()
    (folder / "pairs").mkdir()
    (folder / "news" / "news.txt").write_text("".join(f"{sentence()}\n" for _ in range(400)))
    for split in SPLITS:
        sources = [sentence() for _ in range(40)]
        targets = [" ".join(source.split()[: len(source.split()) // 2]) for source in sources]
        for side, lines in zip(SIDES, (sources, targets), strict=True):
            (folder / "pairs" / f"{split}.{side}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder
