"""What training needs besides the weights to go on as if it had never stopped, and its form as JSON."""
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.score import Score
from src.common.errors import MassError

FORMAT = 1


@dataclass(frozen=True)
class DataIdentity:
    """By what data is recognized, wherever its files stand."""

    kind: str  # sentences or pairs
    examples: int
    symbols: int  # source and target, without padding
    steps_per_epoch: int
    batches_per_step: int  # over all ranks
    valid_examples: int
    valid_symbols: int


@dataclass(frozen=True)
class TrainingState:
    """The state after an optimizer step, but for weights and optimizer."""

    step: int
    epoch: int  # whole epochs that are done
    step_in_epoch: int  # steps done of the next one
    loss_scale: float
    good_steps: int  # since the loss scale last changed
    score: Score
    unreported: dict[str, float]  # sums of steps that no line of the log covers yet
    data: DataIdentity
    vocabulary: dict[str, Any]  # file, size, fingerprint
    config: Config

    def to_json(self, **more: Any) -> str:
        """One object, `more` included, with a checksum of itself."""
        content = {"format": FORMAT, **dataclasses.asdict(self), **more}
        return json.dumps({**content, "sha256": _digest(content)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> tuple["TrainingState", dict[str, Any]]:
        """The state and what else the object holds.

        Raises:
            MassError: it is damaged, or of a format this version does not know. The caller adds which file it is.
        """
        try:
            content = json.loads(text)
            intact = content.pop("sha256") == _digest(content)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise MassError("it is damaged (not a state of training)") from error
        if not intact:
            raise MassError("it is damaged (its checksum is another)")
        if content.pop("format") != FORMAT:
            raise MassError("it was written by another version of this program")
        own = {field.name: content.pop(field.name) for field in dataclasses.fields(cls)}
        parts = {"score": Score(**own["score"]), "data": DataIdentity(**own["data"]),
                 "config": config_from_dict(own["config"])}
        return cls(**{**own, **parts}), content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
