"""What a recipe consists of."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from recipes.text_layout import TextFolders


@dataclass(frozen=True)
class Recipe:
    """A corpus and the trainings on it; the hyperparameters of the trainings are in the configurations that it names.

    The quick start makes its text by a command of its own; the others implement `check` and `arrange`.
    """

    name: str
    description: str  # of the task, for the help text and the report
    pretrain_config: str  # path from the repository's folder
    finetune_config: str
    merges: int  # the number of BPE merges to learn
    threshold: int  # tokens of at most this frequency are left out of the vocabulary
    sentence_max_len: int  # tokens; longer sentences are left out of pre-training
    pair_max_len: int  # tokens of a side; longer pairs are left out of fine-tuning
    lead_words: int = 0  # the baseline that copies so many words of the source; 0: there is no such baseline
    pairs_are_tokenized: bool = False
    gigaword_style: bool = False  # tokenized text is spelled as the Gigaword corpus spells it
    finetune_settings: Sequence[str] = ()  # node.key=value, changes of finetune_config
    search_values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Keys of model_config, and the values that are tried on the validation pairs, beside that of finetune_config."""
    text_command: Sequence[str] = ()  # makes the text in the common layout, instead of `arrange`
    check: Callable[[TextFolders], None] = lambda folders: None
    """Raises a MassError that says which text is missing, and where it is published."""
    arrange: Callable[[TextFolders, str], list[str]] = lambda folders, output: []
    """Writes the text in the common layout into a folder, and returns lines about what was read."""
