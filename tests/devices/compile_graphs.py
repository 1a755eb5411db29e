"""Compile graphs of the program for a device that is simulated, in a process of its own.

    python -m tests.devices.compile_graphs DEVICE COMPUTE_TYPE [options]

MindSpore's log goes to stderr; the lines of this script in between say to which graph the log before them belongs.
"""
import argparse
import dataclasses
import os
import sys
from collections.abc import Callable

import src  # noqa: F401  (before MindSpore is loaded)
from config.config import Config, LearnRateConfig, TrainingConfig
from src.runtime.device import require_compute_type, set_up_device
from src.runtime.distributed import Ranks, join_ranks
from src.training.device_check import FURTHER, UPDATE, ProgramGraph, check_graphs, small_config
from tests.devices.simulation import BEGIN, FINISHED, GRAPH, SEPARATOR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device")
    parser.add_argument("compute_type")
    parser.add_argument("--optimizers", nargs="*", default=[],
                        help="compile also the updates by these, and what else has no matrix products")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--flash_attention", action="store_true", help="compile only what has it")
    args = parser.parse_args()
    training = TrainingConfig(device_target=args.device, flash_attention=args.flash_attention)
    config = small_config(Config(training_config=training))
    config = dataclasses.replace(config, model_config=dataclasses.replace(
        config.model_config, compute_type=args.compute_type, num_hidden_layers=args.layers, hidden_dropout_prob=0.1,
        attention_dropout_prob=0.1))
    set_up_device(config)
    ranks = join_ranks(args.device)
    require_compute_type(config)
    if args.flash_attention:
        compile_graphs(config, ranks, lambda graph: graph.name.startswith(("training: gradients", "flash attention")))
        return
    if not args.optimizers:
        compile_graphs(config, ranks, lambda graph: graph.multiplies and graph.name != FURTHER)
    for number, optimizer in enumerate(args.optimizers):  # the other graphs do not depend on it
        compile_graphs(with_optimizer(config, optimizer), ranks,
                       lambda graph, first=not number, name=optimizer: first or graph.name == UPDATE + name)


def with_optimizer(config: Config, optimizer: str) -> Config:
    return dataclasses.replace(config, learn_rate_config=LearnRateConfig(optimizer=optimizer))


def compile_graphs(config: Config, ranks: Ranks, wanted: Callable[[ProgramGraph], bool]) -> None:
    note(BEGIN)
    for checked in check_graphs(config, ranks, wanted):
        error = " ".join(repr(checked.error).split())[:1500] if checked.error else ""
        note(f"{GRAPH}{checked.name}{SEPARATOR}{error}")


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
    note(FINISHED)
    os._exit(0)  # stub libraries crash when the plugin is unloaded
