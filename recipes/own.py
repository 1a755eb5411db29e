"""The recipe for a corpus of one's own: pairs, and sentences for pre-training."""
from recipes.recipe import Recipe
from recipes.text_layout import (
    SIDES,
    SPLITS,
    TextFolders,
    require_files,
    require_sentences,
    write_sentences,
    write_split_pairs,
    write_texts_of_pairs,
)
from recipes.tuning import SEARCH_VALUES
from src.common.errors import UsageError

LAYOUT = "line i of a .tgt.txt is the target of line i of its .src.txt"


def check(folders: TextFolders) -> None:
    """Raise an error that says what is missing."""
    if folders.pairs is None:
        raise UsageError(f"--pairs DIR (train, valid and test, .src.txt and .tgt.txt) is required; {LAYOUT}")
    require_files(folders.pairs, [(f"{split}.{side}.txt",) for split in SPLITS for side in SIDES], "pairs", LAYOUT)
    require_sentences(folders)


def arrange(folders: TextFolders, output: str) -> list[str]:
    """Arrange the pairs and, for pre-training, the texts of the training pairs and the sentences."""
    report = write_split_pairs(output, folders.pairs, folders.train_pairs) + write_texts_of_pairs(output)
    return report + write_sentences(output, folders.sentences)


RECIPE = Recipe(
    name="own", description="pairs of your own",
    pretrain_config="config/news_small.json", finetune_config="config/cornell_small.json",
    merges=8000, threshold=5, sentence_max_len=64, pair_max_len=64, lead_words=10,
    finetune_settings=("training_config.valid_rouge_sentences=200", "training_config.best_metric=rouge-2"),
    search_values=SEARCH_VALUES, check=check, arrange=arrange)
