"""How steps with and without overflow change the loss scale."""
import pytest

from config.config import LossScaleConfig
from src.common.errors import MassError
from src.training.loss_scale import SMALLEST_SCALE, make_loss_scale


def test_dynamic_scale_rises_after_good_steps_in_a_row_and_falls_at_overflow():
    scale = make_loss_scale(LossScaleConfig(loss_scale_mode="dynamic", init_loss_scale=64.0, loss_scale_factor=4.0,
                                            scale_window=3))
    course = []
    for step, event in enumerate("gggggg" "gg" "o" "gg" "o" "ggg"):
        scale.good() if event == "g" else scale.overflow(step)
        course.append(scale.scale)
    assert course == [64, 64, 256, 256, 256, 1024, 1024, 1024, 256, 256, 256, 64, 64, 64, 256]


def test_a_run_that_only_overflows_ends_with_an_error():
    scale = make_loss_scale(LossScaleConfig(loss_scale_mode="dynamic", init_loss_scale=65536.0))
    with pytest.raises(MassError, match=r"step \d+: .* not finite.*diverged.*learn_rate_config\.lr"):
        for step in range(1, 200):
            scale.overflow(step)
            assert scale.scale >= SMALLEST_SCALE
    assert step > 20  # small scales are tried first


def test_static_scale_stays_and_does_not_suffer_overflow():
    scale = make_loss_scale(LossScaleConfig(loss_scale_mode="static", init_loss_scale=128.0, scale_window=2))
    for _ in range(10):
        scale.good()
    assert scale.scale == 128.0
    with pytest.raises(MassError, match=r"step 11: .*static loss scale 128.*loss_scale_config"):
        scale.overflow(11)
