"""The recipe for a corpus of one's own: sentences for pre-training, and pairs."""
from recipes.recipe import Recipe
from recipes.text_layout import SIDES, SPLITS, TextFolders, find_file, require_files, write_pairs, write_sentences
from recipes.tuning import SEARCH_VALUES
from src.common.errors import UsageError
from src.common.files import list_files

LAYOUT = "line i of a .tgt.txt is the target of line i of its .src.txt"


def check(folders: TextFolders) -> None:
    """Raise an error that says what is missing."""
    if folders.pairs is None or folders.sentences is None:
        raise UsageError(f"--sentences DIR (text for pre-training, *.txt) and --pairs DIR (train, valid and test, "
                         f".src.txt and .tgt.txt) are required; {LAYOUT}")
    require_files(folders.pairs, [(f"{split}.{side}.txt",) for split in SPLITS for side in SIDES], "pairs", LAYOUT)
    list_files(folders.sentences, "*.txt", "folder of sentences")


def arrange(folders: TextFolders, output: str) -> list[str]:
    """Arrange the pairs and the sentences."""
    report = [write_pairs(output, split, *(find_file(folders.pairs, f"{split}.{side}.txt") for side in SIDES),
                          folders.train_pairs if split == "train" else None) for split in SPLITS]
    return report + write_sentences(output, folders.sentences)


RECIPE = Recipe(
    name="own", description="sentences and pairs of your own",
    pretrain_config="config/news_small.json", finetune_config="config/cornell_small.json",
    symbols=8000, threshold=5, sentence_max_len=64, pair_max_len=64, lead_words=10,
    search_values=SEARCH_VALUES, check=check, arrange=arrange)
