"""The summary before the first step of a run."""
import dataclasses

import pytest

from config.config import ModelConfig
from src.dataset.batching.batch import Shape
from src.training.summary import StartSummary, sizes_by_part, start_text
from src.transformer.operators.number_format import NumberFormat

MODEL = ModelConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, vocab_size=1234)
SUMMARY = StartSummary(
    task="pre-training", device="CPU", number_format=NumberFormat("float32", "auto: a reason"), operators="C kernels",
    world_size=1, accumulate=1, model=MODEL,
    sizes={"embedding.table": 19744, "encoder.layers.0.query.weight": 256, "encoder.layers.1.query.weight": 256,
           "decoder.norm.gamma": 16}, weights_from="new, seed 100", vocabulary_path="vocab/all_en.dict.bin",
    train_paths=["records/news.tfrecord"], train_examples=271389, valid_paths=[], valid_examples=0,
    shapes=[Shape(96, 32, 16), Shape(48, 64, 32)], padding=0.0345, steps_per_epoch=400, first_step=1,
    total_steps=1000, folder="train_mass_cpu")


def lines(**changes):
    """Return the lines of the summary by subject."""
    text = start_text(dataclasses.replace(SUMMARY, **changes))
    return {subject: rest.strip() for subject, rest in (line.split(maxsplit=1) for line in text.splitlines())}


def test_it_holds_everything_a_user_checks_at_the_start_of_a_run():
    found = lines()
    assert found["task"] == "pre-training on CPU, float32"
    assert found["products"] == "in float32 (auto: a reason)"
    assert "2+2 layers, hidden 16, feed-forward 24, 4 heads" in found["model"]
    assert found["size"] == "20,272 weights (embedding 19,744, encoder 512, decoder 16), 0.1 MiB in float32"
    assert found["weights"] == "new, seed 100"
    assert found["vocabulary"] == "vocab/all_en.dict.bin, 1,234 tokens"
    assert found["training"] == "271,389 sentences of records/news.tfrecord"
    assert found["validation"].startswith("none")
    assert "96 x (32 + 16), 48 x (64 + 32)" in found["batches"] and "3.5% padding" in found["batches"]
    assert found["steps"] == "1,000 (2.50 epochs of 400)"
    assert found["output"] == "train_mass_cpu"


def test_warnings_end_it():
    text = start_text(dataclasses.replace(SUMMARY, warnings=("the rate rises", "the rate falls")))
    assert text.splitlines()[-2:] == ["warning     the rate rises", "warning     the rate falls"]
    assert "warning" not in lines()


def test_fine_tuning_from_weights_with_validation_data():
    found = lines(task="fine-tuning", weights_from="pretrain/best.safetensors, step 40", valid_examples=12,
                 valid_paths=["a", "b"], train_paths=["c", "d", "e"])
    assert found["weights"] == "pretrain/best.safetensors, step 40"
    assert found["validation"] == "12 pairs of a and b"
    assert found["training"] == "271,389 pairs of c and 2 more files"


@pytest.mark.parametrize(("world_size", "accumulate", "batches"), [(2, 1, 2), (1, 4, 4), (8, 4, 32)])
def test_steps_of_several_batches_and_after_resuming(world_size, accumulate, batches):
    found = lines(world_size=world_size, accumulate=accumulate, first_step=301)
    assert found["steps"] == (f"1,000 (2.50 epochs of 400), from step 301 on, each of {batches} batches "
                             f"({accumulate} on each of {world_size} devices)")
    assert found["task"] == ("pre-training on CPU, float32" if world_size == 1
                            else f"pre-training on CPU and {world_size - 1} more, float32")


def test_sizes_add_up():
    assert sum(sizes_by_part(SUMMARY.sizes).values()) == sum(SUMMARY.sizes.values())
