"""The names in the run folder of a recipe, which its steps, its report and later runs share.

A step has a name here if other modules ask for it. The notes on the steps are in folders that steps.py names.
"""
import os

from src.checkpoints.files import BEST

TEXT, TOKENS, BPE, RECORDS = "text", "tokens", "bpe", "records"
"""The stages of the data: a folder for each, with a folder for each part in it."""
PRETRAIN, PRETRAIN_VALID, PAIRS = "pretrain", "pretrain_valid", "pairs"
"""The parts of the data. PRETRAIN is also the folder of the pre-trained weights, and the step that makes them."""
TOKENIZED = "tokenized"  # the folder of TEXT for text that need not be tokenized

SUBWORD = "subword"
CODES, VOCABULARY = os.path.join(SUBWORD, "all.bpe.codes"), os.path.join(SUBWORD, "all_en.dict.bin")

PRETRAINED = os.path.join(PRETRAIN, BEST)
START = "pretrain_start"  # a copy of the weights from which pre-training continues
REUSE, REUSE_START = "reuse", "reuse_start"  # the steps that copy weights of an earlier run, to PRETRAIN and to START

FINETUNE = "finetune"
SPEED, TUNING, SCORES = "speed", "tuning", "scores"  # trial runs; searches on validation pairs; results on test pairs
OBJECTIVES = "objectives"  # the weights that were pre-trained with each objective, by recipes.objectives
PAGE_FILE = "report.html"  # examples and pictures of the attention, beside the predictions of a pre-trained model
RESULTS_FILE, CURVES_FILE = "results.json", "loss_curves.png"
OBJECTIVES_FILE, OBJECTIVES_PICTURE = "objectives.json", "objectives.png"


def finetuned(model: str) -> str:
    """Return the folder of a fine-tuned model, which is also the name of the step that trains it."""
    return f"{FINETUNE}_{model}"


def model_of(training: str) -> str:
    """Return the name of the model that a fine-tuning makes; the inverse of `finetuned`."""
    return training.removeprefix(f"{FINETUNE}_")


def scores_folder(model: str, metric: str) -> str:
    """Return the folder of a model's results by a metric on the test pairs."""
    return os.path.join(SCORES, f"{model}_{metric}")
