"""The recipe for Gigaword: headlines of news articles (Rush et al., 2015)."""
from recipes.recipe import Recipe
from recipes.run_layout import TOKENIZED
from recipes.text_layout import (
    SIDES,
    TextFolders,
    find_file,
    require_files,
    require_sentences,
    write_pairs,
    write_sentences,
    write_texts_of_pairs,
)
from recipes.tuning import SEARCH_VALUES
from src.common.errors import UsageError

FILES = {  # of the corpus as harvardnlp distributes it; the names of the two sides of each split
    "train": (("train.article.txt",), ("train.title.txt",)),
    "valid": (("valid.article.filter.txt", "valid.article.txt"), ("valid.title.filter.txt", "valid.title.txt")),
    "test": (("input.txt", "test.input.txt"), ("task1_ref0.txt", "test.task1_ref0.txt")),
}
SOURCE = "it is published at https://github.com/harvardnlp/sent-summary"


def check(folders: TextFolders) -> None:
    """Raise an error that says what is missing of the corpus."""
    if folders.pairs is None:
        raise UsageError(f"--data DIR is required: the folder of the Gigaword corpus; {SOURCE}")
    require_files(folders.pairs, [group for sides in FILES.values() for group in sides], "the Gigaword corpus", SOURCE)
    require_sentences(folders)


def arrange(folders: TextFolders, output: str) -> list[str]:
    """Arrange the pairs and, for pre-training, the articles of the training pairs and the user's sentences."""
    found = {split: [find_file(folders.pairs, *group) for group in sides] for split, sides in FILES.items()}
    report = [write_pairs(output, split, *paths, folders.train_pairs if split == "train" else None)
              for split, paths in found.items()]
    report += write_texts_of_pairs(output, SIDES[:1], TOKENIZED)
    return report + write_sentences(output, folders.sentences)


RECIPE = Recipe(
    name="gigaword", description="headlines of news articles (Gigaword)",
    pretrain_config="config/gigaword_pretrain.json", finetune_config="config/gigaword_small.json",
    merges=6000, threshold=5, sentence_max_len=64, pair_max_len=64, lead_words=10, pairs_are_tokenized=True,
    gigaword_style=True, search_values=SEARCH_VALUES, check=check,
    arrange=arrange)
