"""The names in the run folder of a recipe: its steps write there; the report, later runs and other programs read."""
import os

from src.checkpoints.files import BEST

TEXT, TOKENS, BPE, RECORDS = "text", "tokens", "bpe", "records"
"""The stages of the data: a folder for each, with a folder for each part in it."""
PRETRAIN, PRETRAIN_VALID, PAIRS = "pretrain", "pretrain_valid", "pairs"
"""The parts of the data. The pre-trained weights are in a folder PRETRAIN, too, which the step PRETRAIN makes."""
TOKENIZED = "tokenized"  # the folder of TEXT for text that need not be tokenized

SUBWORD = "subword"
CODES, VOCABULARY = os.path.join(SUBWORD, "all.bpe.codes"), os.path.join(SUBWORD, "all_en.dict.bin")

PRETRAINED = os.path.join(PRETRAIN, BEST)
START = "pretrain_start"  # a copy of the weights from which pre-training continues
REUSE, REUSE_START = "reuse", "reuse_start"  # the steps that copy weights of an earlier run, to PRETRAIN and to START

SPEED, TUNING, SCORES = "speed", "tuning", "scores"  # trial runs; searches on validation pairs; results on test pairs
PAGE_FILE = "report.html"  # examples and pictures of the attention, beside predictions that are scored by ROUGE
RESULTS_FILE, CURVES_FILE = "results.json", "loss_curves.png"

_FINETUNE = "finetune_"


def finetuned(model: str) -> str:
    """Return the folder of a fine-tuned model, which is also the name of the step that trains it."""
    return f"{_FINETUNE}{model}"


def model_of(training: str) -> str:
    """Return the model whose folder `finetuned` names."""
    return training.removeprefix(_FINETUNE)


def scores_folder(model: str, metric: str) -> str:
    """Return the folder of a model's results by a metric on the test pairs."""
    return os.path.join(SCORES, f"{model}_{metric}")
