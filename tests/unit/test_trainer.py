"""The training loop: reports, validation, checkpoints, reproducibility and resuming."""
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from config.config import LearnRateConfig
from src.common.errors import MassError, UsageError
from src.runtime.device import require_compute_type
from src.utils.load_weights import load_weights
from src.utils.loss_monitor import LossMonitor
from src.utils.lr_scheduler import learning_rate
from tests.helpers.compiler import require_compiler
from tests.helpers.tiny_training import Workbench, events_of, losses_of, training_config, write_pairs

PAIRS = 22  # in batches of 4: the epoch has 6 steps
STEPS = 12
MINDSPORE = {"native_kernels": "off"}  # MindSpore's operators


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return Workbench(write_pairs(folder, "train", PAIRS), write_pairs(folder, "valid", 6, seed=1),
                     training_config=MINDSPORE)


@pytest.fixture(scope="module")
def rounded(bench):
    """The same with the C kernels and matrix products in bfloat16."""
    require_compiler()
    return Workbench(bench.records.paths[0], bench.valid, model_config={"compute_type": "bfloat16"},
                     training_config={"native_kernels": "on"})


@pytest.fixture(scope="module")
def plain(bench, tmp_path_factory):
    """The result and the folder of a complete run."""
    folder = tmp_path_factory.mktemp("mindspore")
    return bench.run(folder), folder


def same_weights(one, other):
    one, other = (load_weights(str(path)).arrays for path in (one, other))
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def of_kind(folder, kind):
    return [event for event in events_of(folder) if event["event"] == kind]


def stops_at(step, when="step"):
    """Return a monitor class that sends this process a SIGTERM at a step or at the validation after it."""

    class Stopping(LossMonitor):
        now = 0

        def step(self, number, *arguments, **options):
            super().step(number, *arguments, **options)
            self.now = number
            if when == "step" and number == step:
                os.kill(os.getpid(), signal.SIGTERM)

        def paused(self):
            if when == "paused" and self.now == step:
                self.now = None  # once
                os.kill(os.getpid(), signal.SIGTERM)
            return super().paused()

    return Stopping


# -- a run -----------------------------------------------------------------------------------------------------------


def test_a_run_is_a_function_of_its_configuration(bench, plain, tmp_path):
    again = bench.run(tmp_path / "again")
    assert events_of(tmp_path / "again") == events_of(plain[1]) and same_weights(again.checkpoint, plain[0].checkpoint)
    bench.run(tmp_path / "other", model_config={"random_seed": 7})  # the weights are the same, the order is not
    assert losses_of(tmp_path / "other") != losses_of(plain[1])


def test_sink_mode_reads_back_later_and_changes_nothing_else(bench, plain, tmp_path):
    result = bench.run(tmp_path, dataset_config={"dataset_sink_mode": True, "dataset_sink_step": 5})
    assert losses_of(tmp_path) == losses_of(plain[1]) and same_weights(result.checkpoint, plain[0].checkpoint)


def test_every_step_is_reported_with_its_rate(plain):
    events = of_kind(plain[1], "train")
    assert [event["step"] for event in events] == list(range(1, STEPS + 1))
    assert [event["lr"] for event in events[:4]] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    metadata = load_weights(plain[0].checkpoint).metadata
    assert metadata["step"] == STEPS
    assert metadata["config"]["model_config"]["vocab_size"] == 13  # 0 was replaced by the size stored in the records


def test_validation_comes_every_valid_steps_and_at_the_end_of_each_epoch(plain):
    events = of_kind(plain[1], "valid")
    assert [event["step"] for event in events] == [4, 6, 8, 12]
    best = min(events, key=lambda event: event["nll"])
    assert plain[0].best_step == best["step"] == [event["step"] for event in events if event["best"]][-1]
    assert load_weights(str(plain[1] / "best.safetensors")).metadata["step"] == best["step"]


def test_validation_does_not_touch_training(bench, plain, tmp_path):
    bench.run(tmp_path, training_config={"valid_steps": 1})
    assert losses_of(tmp_path) == losses_of(plain[1])


def test_overflowing_steps_are_skipped_and_the_scale_falls_until_they_pass(bench, plain, tmp_path):
    bench.run(tmp_path, loss_scale_config={"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**100,
                                           "loss_scale_factor": 2.0**20})
    skipped = of_kind(tmp_path, "skip")
    assert 0 < len(skipped) < STEPS
    assert [event["new_loss_scale"] for event in skipped] == [2.0 ** (100 - 20 * i) for i in range(1, len(skipped) + 1)]
    # The scale does not show in what is reported, and a skipped step changes no weight.
    assert losses_of(tmp_path)[0] == pytest.approx(losses_of(plain[1])[0])
    assert len(losses_of(tmp_path)) == STEPS


# -- the end ---------------------------------------------------------------------------------------------------------


def test_patience_ends_a_run_that_no_longer_gets_better(bench, tmp_path):
    result = bench.run(tmp_path, learn_rate_config={"lr": 1.0, "warmup_steps": 0},
                       training_config={"valid_steps": 1, "patience": 3, "max_steps": 200})
    events = of_kind(tmp_path, "valid")
    assert result.steps == result.best_step + 3 == events[-1]["step"] < 200 and "3 validations" in result.reason
    assert result.exit_code == 0 and result.checkpoint.endswith(f"ckpt-{result.steps}.safetensors")


def test_the_best_checkpoint_can_be_chosen_by_rouge(bench, tmp_path):
    """ROUGE decides what `best` is and when patience is exhausted."""
    training = {"valid_steps": 1, "valid_rouge_sentences": 6, "best_metric": "rouge-1", "patience": 4, "max_steps": 60}
    result = bench.run(tmp_path, learn_rate_config={"lr": 1e-2, "warmup_steps": 0}, training_config=training)
    events = of_kind(tmp_path, "valid")
    best = max(events, key=lambda event: (event["rouge-1"], -event["step"]))
    assert result.best_step == best["step"] == [event["step"] for event in events if event["best"]][-1]
    assert load_weights(str(tmp_path / "best.safetensors")).metadata["step"] == best["step"]
    assert result.steps == 60 or (result.steps == best["step"] + 4 and result.reason == "no better rouge-1 in 4 "
                                                                                        "validations")


def test_epochs_end_a_run(bench, tmp_path):
    result = bench.run(tmp_path, dataset_config={"epochs": 1}, training_config={"max_steps": 0})
    assert result.steps == len(losses_of(tmp_path)) == 6 and result.reason == ""


@pytest.mark.parametrize("sink", [False, True])
def test_a_loss_that_is_not_finite_ends_the_run_and_is_explained(bench, tmp_path, sink):
    with pytest.raises(MassError) as caught:
        bench.run(tmp_path, learn_rate_config={"lr": 1e30, "clip_norm": 0.0, "warmup_steps": 0},
                  dataset_config={"dataset_sink_mode": sink, "dataset_sink_step": 4})
    message = str(caught.value)
    rate = learning_rate(2, LearnRateConfig(lr=1e30, warmup_steps=0, decay_steps=1000))
    assert f"step 2: the loss is nan, the norm of its gradients nan, at learning rate {rate:.6g} and loss scale 1:" \
        in message
    sentences = [line.split("  ->  ") for line in message.splitlines()[1:]]
    folder = Path(bench.records.paths[0]).parent
    pairs = [(folder / f"train.{side}.txt").read_text().splitlines() for side in ("source", "target")]
    assert 1 <= len(sentences) <= 4
    assert all((source.strip(), target) in zip(*pairs, strict=True) for source, target in sentences)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("ckpt")]


# -- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_steps", [1, 5])
@pytest.mark.parametrize("stop", [4, 9])  # where a validation and a checkpoint are due; in the middle of an epoch
@pytest.mark.parametrize("kind", ["bench", "rounded"])
def test_a_resumed_run_is_the_uninterrupted_one(request, kind, tmp_path, stop, log_steps):
    bench = request.getfixturevalue(kind)
    training = {"log_steps": log_steps, "max_steps": STEPS + 2}
    whole = bench.run(tmp_path / "whole", training_config=training)
    first = bench.run(tmp_path / "parts", training_config=training, monitor=stops_at(stop))
    assert (first.steps, first.exit_code) == (stop, 143) and "signal" in first.reason
    last = bench.run(tmp_path / "parts", training_config=training, resume=True)
    assert events_of(tmp_path / "parts") == events_of(tmp_path / "whole")
    assert same_weights(last.checkpoint, whole.checkpoint) and last.best_step == whole.best_step
    for name in ("best", "latest"):
        assert same_weights(*(tmp_path / part / f"{name}.safetensors" for part in ("parts", "whole")))


def test_a_validation_that_a_signal_interrupted_is_repeated(bench, plain, tmp_path):
    first = bench.run(tmp_path, monitor=stops_at(6, when="paused"))
    assert first.steps == 6 and [event["step"] for event in of_kind(tmp_path, "valid")] == [4]
    bench.run(tmp_path, resume=True)
    assert events_of(tmp_path) == events_of(plain[1])


def test_the_loss_scale_continues(bench, tmp_path):
    scale = {"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**10, "scale_window": 5}
    bench.run(tmp_path / "whole", loss_scale_config=scale)
    bench.run(tmp_path / "parts", loss_scale_config=scale, monitor=stops_at(8))
    bench.run(tmp_path / "parts", loss_scale_config=scale, resume=True)
    scales = [[event["loss_scale"] for event in of_kind(tmp_path / part, "train")] for part in ("whole", "parts")]
    assert scales[0] == scales[1] and scales[0][-1] == 2.0**12


def test_a_finished_run_is_continued_only_if_max_steps_has_grown(bench, plain, tmp_path):
    training = {"max_steps": 8}
    first = bench.run(tmp_path, training_config=training)
    before = os.stat(first.checkpoint).st_mtime_ns
    again = bench.run(tmp_path, training_config=training, resume=True)
    assert again == first and os.stat(first.checkpoint).st_mtime_ns == before
    longer = bench.run(tmp_path, resume=True)
    assert same_weights(longer.checkpoint, plain[0].checkpoint) and losses_of(tmp_path) == losses_of(plain[1])


def test_a_checkpoint_stores_its_place_in_the_run(plain):
    state = json.loads((plain[1] / "ckpt-8.state.json").read_text())
    assert (state["step"], state["epoch"], state["step_in_epoch"]) == (8, 1, 2)
    assert state["validation"]["last_step"] == 8 and state["data"]["examples"] == PAIRS
    assert state["config"]["learn_rate_config"]["optimizer"] == "adam"


# -- bfloat16 ----------------------------------------------------------------------------------------------------------


def test_bfloat16_learns_the_same_up_to_rounding(rounded, plain, tmp_path):
    result = rounded.run(tmp_path)
    found, wanted = losses_of(tmp_path), losses_of(plain[1])
    assert found == pytest.approx(wanted, rel=1e-2) and found != pytest.approx(wanted, rel=1e-6)
    perplexities = [[event["ppl"] for event in of_kind(folder, "valid")] for folder in (tmp_path, plain[1])]
    assert perplexities[0] == pytest.approx(perplexities[1], rel=1e-2)
    assert {event["compute_type"] for event in of_kind(tmp_path, "train")} == {"bfloat16"}
    assert {array.dtype for array in load_weights(result.checkpoint).arrays.values()} == {np.dtype(np.float32)}


def test_overflow_in_bfloat16_skips_steps_as_in_float32(rounded, tmp_path):
    """The exponents have the same range in both formats."""
    rounded.run(tmp_path, loss_scale_config={"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**100,
                                             "loss_scale_factor": 2.0**20})
    skipped = of_kind(tmp_path, "skip")
    assert 0 < len(skipped) < STEPS and all(np.isfinite(losses_of(tmp_path)))


# -- half precision --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def half(bench):
    return Workbench(bench.records.paths[0], model_config={"compute_type": "float16"}, training_config=MINDSPORE)


def test_half_precision_learns_the_same_up_to_rounding(half, plain, tmp_path):
    half.run(tmp_path, loss_scale_config={"init_loss_scale": 1024.0})
    found, wanted = losses_of(tmp_path), losses_of(plain[1])
    assert found == pytest.approx(wanted, rel=1e-2) and found != pytest.approx(wanted, rel=1e-6)
    weights = load_weights(str(tmp_path / "latest.safetensors")).arrays
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_gradients_that_overflow_in_half_precision_reduce_the_scale(half, plain, tmp_path):
    half.run(tmp_path, loss_scale_config={"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**24,
                                          "loss_scale_factor": 16.0})
    skipped = of_kind(tmp_path, "skip")
    assert 0 < len(skipped) < STEPS // 2
    assert [event["step"] for event in skipped] == list(range(1, len(skipped) + 1))
    good = losses_of(tmp_path)[len(skipped) :]
    assert good[0] == pytest.approx(losses_of(plain[1])[len(skipped)], rel=0.2) and good[-1] < good[0]


def test_the_scale_grows_until_half_precision_overflows(half, tmp_path):
    half.run(tmp_path, loss_scale_config={"loss_scale_mode": "dynamic", "init_loss_scale": 2.0**8, "scale_window": 1,
                                          "loss_scale_factor": 8.0})
    skipped = [event["step"] for event in of_kind(tmp_path, "skip")]
    scales = [event["loss_scale"] for event in of_kind(tmp_path, "train")]
    assert skipped and 1 not in skipped
    for step in range(1, STEPS):
        assert scales[step] == scales[step - 1] * (1 / 8 if step in skipped else 8)


def test_an_overflow_at_a_static_scale_ends_the_run(half, tmp_path):
    with pytest.raises(MassError, match="step 1: .*static loss scale 1.67772e.07.*init_loss_scale"):
        half.run(tmp_path, loss_scale_config={"init_loss_scale": 2.0**24})


def test_a_compute_type_without_kernels_on_the_device_is_refused(half):
    def require(compute_type: str) -> None:
        require_compute_type(training_config("", model_config={"compute_type": compute_type},
                                             training_config=MINDSPORE))

    for compute_type in ("float32", "float16"):
        require(compute_type)
    with pytest.raises(UsageError, match="compute_type is bfloat16: .*no kernel.* CPU; use float32 or float16"):
        require("bfloat16")


@pytest.mark.parametrize("sink", [False, True])
def test_no_overflowed_update_is_applied(bench, tmp_path, sink):
    """The gradients are not finite at this scale, the loss is."""
    with pytest.raises(MassError, match="not finite|has diverged"):
        bench.run(tmp_path, dataset_config={"dataset_sink_mode": sink, "dataset_sink_step": 4},
                  loss_scale_config={"loss_scale_mode": "static", "init_loss_scale": 2.0**200})
    assert all(np.isfinite(weight.asnumpy()).all() for weight in bench.network.get_parameters())
