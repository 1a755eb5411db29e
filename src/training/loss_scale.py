"""Static and dynamic loss scale."""
from config.config import LossScaleConfig
from src.common.errors import MassError

SMALLEST_SCALE = 2.0**-14


class LossScale:
    """The present scale, and how good and overflowing steps change it (Micikevicius et al., 2018, 3.2)."""

    def __init__(self, config: LossScaleConfig):
        self.scale = config.init_loss_scale
        self.good_steps = 0  # in a row
        self._config = config

    def restore(self, scale: float, good_steps: int) -> None:
        """Go on from where an earlier process was."""
        self.scale, self.good_steps = scale, good_steps

    def good(self) -> None:
        """A step with finite gradients: dynamic scaling multiplies after `scale_window` of them in a row."""
        self.good_steps += 1
        if self._config.loss_scale_mode == "dynamic" and self.good_steps % self._config.scale_window == 0:
            self.scale *= self._config.loss_scale_factor

    def overflow(self, step: int) -> None:
        """A step whose gradients are not finite: dynamic scaling divides.

        Raises:
            MassError: the scale is static, or already so small that it cannot be the reason.
        """
        self.good_steps = 0
        if self._config.loss_scale_mode == "static":
            raise MassError(f"step {step}: the gradients are not finite at the static loss scale {self.scale:g}; "
                            f"lower learn_rate_config.lr or loss_scale_config.init_loss_scale, or use "
                            f"loss_scale_mode dynamic")
        if self.scale <= SMALLEST_SCALE:
            raise MassError(f"step {step}: the gradients are not finite even at loss scale {self.scale:g}: "
                            f"training has diverged; lower learn_rate_config.lr or lengthen warmup_steps")
        self.scale /= self._config.loss_scale_factor
