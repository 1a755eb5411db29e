"""Compile every graph of the program for a device that is simulated, in a process of its own.

    python -m tests.devices.compile_graphs DEVICE COMPUTE_TYPE [OPTIMIZERS [LAYERS]]

MindSpore's log goes to stderr; the lines of this script in between say to which graph the log before them belongs.
"""
import dataclasses
import os
import sys

import src  # noqa: F401  (before MindSpore is loaded)
from config.config import Config, LearnRateConfig, TrainingConfig
from src.runtime.device import require_compute_type, set_up_device
from src.runtime.distributed import join_ranks
from src.training.device_check import UPDATE, check_graphs, small_config
from tests.devices.simulation import BEGIN, FINISHED, GRAPH, SEPARATOR


def main() -> None:
    device, compute_type = sys.argv[1:3]
    optimizers = (sys.argv[3] if len(sys.argv) > 3 else "adam,momentum,lamb").split(",")
    layers = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    config = small_config(Config(training_config=TrainingConfig(device_target=device)))
    config = dataclasses.replace(config, model_config=dataclasses.replace(
        config.model_config, compute_type=compute_type, num_hidden_layers=layers, hidden_dropout_prob=0.1))
    set_up_device(config)
    ranks = join_ranks(device)
    require_compute_type(config)
    for optimizer in optimizers:
        of_optimizer = dataclasses.replace(config, learn_rate_config=LearnRateConfig(optimizer=optimizer))
        part = "" if optimizer == optimizers[0] else UPDATE  # the other graphs do not depend on the optimizer
        note(BEGIN)
        for checked in check_graphs(of_optimizer, ranks, part):
            error = " ".join(repr(checked.error).split())[:1500] if checked.error else ""
            note(f"{GRAPH}{checked.name}{SEPARATOR}{error}")
    note(FINISHED)
    os._exit(0)  # stub libraries crash when the plugin is unloaded


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
