"""The interface of an export format, and of the runtime that an exported folder is verified in."""
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from src.checkpoints.find import ModelFiles
from src.common.errors import MassError, UsageError
from src.text.text_processing import TextProcessing
from src.transformer.decoding.options import SearchOptions

if TYPE_CHECKING:  # it imports MindSpore, which takes seconds
    from src.transformer.transformer_for_train import TransformerForTrain

REQUIREMENTS = "requirements-export.txt"


@dataclass(frozen=True)
class ExportedModel:
    """Everything that a format writes."""

    files: ModelFiles
    """With the configuration that the model was trained and is used with; exported models compute in float32."""
    text: TextProcessing
    network: "TransformerForTrain"
    weights: dict[str, np.ndarray]
    """The weights by the names they have in checkpoints, float32."""
    positions: np.ndarray
    """The encodings of all positions, [max_position_embeddings, hidden_size] float32."""
    search: SearchOptions
    """The settings of the search, which the exported model uses by default."""
    quantize: str = ""
    """One of the format's quantizations; empty: float32."""


class Generation(NamedTuple):
    """A way in which users of an exported model generate predictions."""

    name: str
    predict: Callable[[Sequence[str]], list[str]]
    """Raw sentences -> the best prediction for each, as text. Sentences without words are never passed."""
    exact: bool
    """Whether predictions must equal those of eval.py; otherwise, the share of equal ones is only reported."""


class Runtime(ABC):
    """An exported folder, loaded in the runtime that it was made for."""

    tolerance: float | None = 1e-4
    """The largest difference of a log-probability that is allowed; None: the difference is only reported."""

    @abstractmethod
    def token_ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the token ids of raw sentences as our vocabulary numbers them, truncated, with `</s>`."""

    @abstractmethod
    def log_probs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probability of each token of the targets, which end with `</s>`, given the sources."""

    @abstractmethod
    def generations(self) -> Sequence[Generation]:
        """Return the ways of generating predictions, the one that users meet first first."""


class ExportFormat(ABC):
    """A format that models are exported to.

    The modules of formats import MindSpore and optional packages inside functions, so that flags are checked at once.
    """

    name: str
    """The value of --format."""
    title: str
    """The name of the runtime, for people."""
    packages: tuple[str, ...] = ()
    """The modules that writing imports besides those of requirements.txt."""
    runtime_packages: tuple[str, ...] = ()
    """The modules that the verification imports besides these."""
    quantizing_packages: tuple[str, ...] = ()
    """The modules that --quantize imports besides those for writing."""
    samples: bool = False
    """Whether a model that samples can be exported as such; otherwise, beam search is exported."""
    quantizations: tuple[str, ...] = ()
    """Allowed values of --quantize."""

    def require_expressible(self, model: ExportedModel) -> None:  # noqa: B027  (most formats can hold every model)
        """Raise a MassError if the format cannot hold this model. It is called before anything is written."""

    @abstractmethod
    def write(self, model: ExportedModel, folder: str) -> None:
        """Write the format's files into an existing folder; the exporter writes those that all formats share."""

    @abstractmethod
    def load(self, model: ExportedModel, folder: str) -> Runtime:
        """Load what `write` has written in the target runtime, for verification."""

    @abstractmethod
    def example(self, folder: str) -> str:
        """Return a Markdown code block that loads the folder and generates a prediction, for the model card."""

    def notes(self, model: ExportedModel) -> Sequence[str]:
        """Return what users of the exported model should know, one sentence or paragraph each, for the model card."""
        return ()

    def require_packages(self, verify: bool = True, quantize: str = "") -> None:
        """Raise a MassError that says what to install if a package of the format is missing."""
        writing = self.packages + self.quantizing_packages * bool(quantize)
        needed = dict.fromkeys(writing + self.runtime_packages * verify)
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            otherwise = "" if {*missing} & {*writing} else " (--no-verify does without)"
            raise MassError(f"--format {self.name} needs {', '.join(missing)}, which "
                            f"{'is' if len(missing) == 1 else 'are'} not installed{otherwise}: pip install -r "
                            f"{REQUIREMENTS}")

    def require_quantization(self, quantize: str) -> None:
        """Raise a UsageError if the format does not know a quantization; empty is always allowed."""
        if quantize and quantize not in self.quantizations:
            allowed = ", ".join(self.quantizations) or "none"
            raise UsageError(f"--quantize {quantize}: --format {self.name} has no such quantization (allowed: "
                             f"{allowed})")
