"""What training needs, besides the weights and the optimizer state, to continue as if it had never stopped."""
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from config.config import Config
from config.loading import config_from_dict
from src.checkpoints.validation_history import ValidationHistory
from src.common.errors import MassError, UsageError
from src.common.json_files import parse_json

FORMAT = 3  # 1 and 2 had other names of fields


@dataclass(frozen=True)
class DataIdentity:
    """What identifies the data of a run, wherever its files are."""

    kind: str  # "sentences" or "pairs"
    examples: int
    tokens: int  # source and target, without padding
    steps_per_epoch: int
    batches_per_step: int  # over all ranks
    valid_examples: int
    valid_tokens: int


@dataclass(frozen=True)
class TrainingState:
    """The state of a run after an optimizer step, without the weights and the optimizer state."""

    step: int
    epoch: int  # number of completed epochs
    step_in_epoch: int  # number of completed steps of the next epoch
    loss_scale: float
    good_steps: int  # since the loss scale last changed
    validation: ValidationHistory
    unreported: dict[str, float]  # sums over the steps since the last report of the loss monitor
    data: DataIdentity
    vocabulary: dict[str, Any]  # file, size, fingerprint
    config: Config

    def to_json(self, **more: Any) -> str:
        """Return the state and the entries `more` as a JSON object that holds a checksum of itself."""
        content = {"format": FORMAT, **dataclasses.asdict(self), **more}
        return json.dumps({**content, "sha256": _digest(content)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> tuple["TrainingState", dict[str, Any]]:
        """Return the state and the other entries of an object that `to_json` wrote.

        Raises:
            MassError: the text is damaged, or was written by another version. The caller adds the name of the file.
        """
        try:
            content = parse_json(text, finite=False, paths=True)
            intact = content.pop("sha256") == _digest(content)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise MassError("it is damaged (not a training state)") from error
        if not intact:
            raise MassError("it is damaged (its checksum differs)")
        if content.pop("format") != FORMAT:
            raise MassError("it was written by another version of this program")
        try:
            own = {field.name: content.pop(field.name) for field in dataclasses.fields(cls)}
            parts = {"validation": ValidationHistory(**own["validation"]), "data": DataIdentity(**own["data"]),
                     "config": config_from_dict(own["config"])}
            if set(map(type, (own["step"], own["epoch"], own["step_in_epoch"], own["good_steps"]))) != {int}:
                raise TypeError("a step is not a number")
        except (KeyError, TypeError, UsageError) as error:
            raise MassError(f"it is not a training state ({error})") from error
        return cls(**{**own, **parts}), content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
