"""The recipe for the Cornell movie dialogs: a response to an utterance (Danescu-Niculescu-Mizil and Lee, 2011)."""
from tempfile import TemporaryDirectory

from recipes.recipe import Recipe
from recipes.text_layout import (
    SIDES,
    SPLITS,
    TextFolders,
    find_file,
    require_sentences,
    write_sentences,
    write_split_pairs,
    write_texts_of_pairs,
)
from src.common.errors import MassError, UsageError
from src.common.files import require_folder
from src.dataset.cornell.corpus import CONVERSATIONS_FILE, LINES_FILE, is_published_corpus
from src.dataset.cornell.split import SplitPlan, parse_shares, split_corpus

SOURCE = "it is published at https://www.cs.cornell.edu/~cristian/Cornell_Movie-Dialogs_Corpus.html"
SHARES = "0.8,0.1,0.1"  # of the published corpus, by film


def check(folders: TextFolders) -> None:
    """Raise an error that says what is missing of the corpus."""
    if folders.pairs is None:
        raise UsageError(f"--data DIR is required: the Cornell corpus ({LINES_FILE}, {CONVERSATIONS_FILE}), or "
                         f"train.src.txt, train.tgt.txt and so on; {SOURCE}")
    require_folder(folders.pairs, "folder of the Cornell movie dialogs")
    if not (_has_pairs(folders.pairs) or is_published_corpus(folders.pairs)):
        names = ", ".join(f"{split}.{side}.txt" for split in SPLITS for side in SIDES)
        raise MassError(f"folder {folders.pairs!r} holds neither {LINES_FILE} and {CONVERSATIONS_FILE}, the Cornell "
                        f"movie dialogs as published, nor all of {names}; {SOURCE}")
    require_sentences(folders)


def arrange(folders: TextFolders, output: str) -> list[str]:
    """Arrange the pairs and, for pre-training, the utterances of the training pairs and the user's sentences."""
    if _has_pairs(folders.pairs):
        report = write_split_pairs(output, folders.pairs, folders.train_pairs)
    else:
        with TemporaryDirectory(dir=output) as raw:
            plan = SplitPlan({split: split for split in SPLITS}, parse_shares(SHARES))
            summary, _ = split_corpus(folders.pairs, raw, plan, overwrite=True)
            report = [str(summary), *write_split_pairs(output, raw, folders.train_pairs)]
    report += write_texts_of_pairs(output)
    return report + write_sentences(output, folders.sentences)


def _has_pairs(folder: str) -> bool:
    return all(find_file(folder, f"{split}.{side}.txt") for split in SPLITS for side in SIDES)


RECIPE = Recipe(
    name="cornell", description="responses in film dialogs (Cornell)",
    pretrain_config="config/news_small.json", finetune_config="config/cornell_small.json",
    merges=8000, threshold=3, sentence_max_len=64, pair_max_len=64,
    check=check, arrange=arrange)
