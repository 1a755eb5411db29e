"""Static and dynamic loss scaling (Micikevicius et al., 2018, section 3.2)."""
from config.config import LossScaleConfig
from config.registry import registry
from src.common.errors import MassError

SMALLEST_SCALE = 2.0**-14


class LossScale:
    """The present loss scale, and how steps with and without overflow change it.

    `skips_overflow` says whether a step whose gradients overflow is skipped; otherwise overflow is an error.
    """

    skips_overflow: bool

    def __init__(self, config: LossScaleConfig):
        self.scale = config.init_loss_scale
        self.good_steps = 0  # consecutive
        self._config = config

    def restore(self, scale: float, good_steps: int) -> None:
        """Continue from the values of an earlier process."""
        self.scale, self.good_steps = scale, good_steps

    def good(self) -> None:
        """Take note of a step with finite gradients."""
        self.good_steps += 1

    def overflow(self, step: int) -> None:
        """Take note of a step whose gradients are not finite.

        Raises:
            MassError: the step cannot be skipped, or the scale is already so small that it cannot be the cause.
        """
        raise NotImplementedError


class StaticLossScale(LossScale):
    """Always the initial scale."""

    skips_overflow = False

    def overflow(self, step: int) -> None:
        raise MassError(f"step {step}: the gradients are not finite at the static loss scale {self.scale:g}; lower "
                        f"learn_rate_config.lr or loss_scale_config.init_loss_scale, or use loss_scale_mode dynamic")


class DynamicLossScale(LossScale):
    """Divided by loss_scale_factor at overflow, multiplied by it after scale_window consecutive good steps."""

    skips_overflow = True

    def good(self) -> None:
        super().good()
        if self.good_steps % self._config.scale_window == 0:
            self.scale *= self._config.loss_scale_factor

    def overflow(self, step: int) -> None:
        self.good_steps = 0
        if self.scale <= SMALLEST_SCALE:
            raise MassError(f"step {step}: the gradients are not finite even at loss scale {self.scale:g}: training "
                            f"has diverged; lower learn_rate_config.lr or lengthen warmup_steps")
        self.scale /= self._config.loss_scale_factor


LOSS_SCALES: dict[str, type[LossScale]] = registry(LossScaleConfig, "loss_scale_mode", {
    "static": StaticLossScale,
    "dynamic": DynamicLossScale,
})


def make_loss_scale(config: LossScaleConfig) -> LossScale:
    """Return the loss scale that the configuration names."""
    return LOSS_SCALES[config.loss_scale_mode](config)
