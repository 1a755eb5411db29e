"""Setting up MindSpore for a device."""
import gc
import os
import signal

import numpy as np

from config.config import Config
from src.common.errors import MassError, UsageError

GRAPH_DEPTH = 10_000
"""The depth that MindSpore allows a graph: each round of a loop over parameters adds to it. The default is 1,000, and
the all-reduce of a network of 6+6 layers, which has 258 parameters, is deeper."""

OLD_ASCEND = ("ascend910", "ascend310", "ascend310p", "ascend310b")
"""Chips whose float status must be asked for, because results are saturated."""


def is_distributed() -> bool:
    """Return whether msrun, or the launcher of a rank table, has started this process together with others."""
    return "MS_ROLE" in os.environ or os.environ.get("RANK_SIZE", "1") != "1"


def set_up_device(config: Config) -> None:
    """Select graph mode, the device and MindSpore's seed.

    A process of a distributed run uses the device DEVICE_ID, which msrun or the launcher of a rank table has set in its
    environment, instead of training_config.device_id.

    Raises:
        MassError: MindSpore cannot use the device on this machine, or it is an Ascend chip of the first generation.
    """
    import mindspore

    model, training = config.model_config, config.training_config
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_recursion_limit(GRAPH_DEPTH)
    if training.device_target != "CPU" and training.jit_level != "O0":  # O0 is MindSpore's default
        mindspore.set_context(jit_config={"jit_level": training.jit_level})
    device_id = int(os.environ.get("DEVICE_ID", training.device_id)) if is_distributed() else training.device_id
    try:
        mindspore.set_device(training.device_target, 0 if training.device_target == "CPU" else device_id)
    except (RuntimeError, ValueError) as error:
        raise MassError(f"training_config.device_target is {training.device_target}: MindSpore "
                        f"{mindspore.__version__} cannot use it here ({load_error(str(error))}); to use the CPU, add "
                        f"--set training_config.device_target=CPU") from error
    if training.device_target == "Ascend":
        require_ascend_910b(ascend_chip())
    if model.save_graphs:
        mindspore.set_context(save_graphs=1, save_graphs_path="graphs")
    mindspore.set_seed(model.random_seed)
    if not gc.get_freeze_count():  # before each compilation, MindSpore has Python examine all objects, most of modules
        gc.collect()
        gc.freeze()


def load_error(message: str) -> str:
    """Return what keeps a device plugin from being loaded, from MindSpore's message about an unsupported device.

    This is MindSpore's section "Device load error message", one reason for each plugin, or else the first line.
    """
    _, found, section = message.partition("- Device load error message:")
    lines = [line.strip() for line in section.split("- C++ Call Stack", 1)[0].splitlines()]
    reasons = [line for line in lines if line.strip("-")]
    return "; ".join(reasons) if found and reasons else message.strip().splitlines()[0]


def ascend_chip() -> str:
    """Return the name of the Ascend chip that MindSpore was set up for: ascend910, ascend910b, ascend910_93, ..."""
    from mindspore._c_expression import MSContext

    return MSContext.get_instance().get_ascend_soc_version()


def require_ascend_910b(chip: str) -> None:
    """Raise a MassError for an Ascend chip that computes in a way that this program does not support."""
    if chip in OLD_ASCEND:
        raise MassError(f"the chip is {chip}: Ascend 910B or newer is required. This one replaces infinities by the "
                        f"largest number, so that an overflow of the gradients is not noticed, it multiplies float32 "
                        f"matrices in float16, and MindSpore compiles for it at the deprecated level O2")


def restore_interrupts() -> None:
    """Restore Python's handling of Ctrl-C: a KeyboardInterrupt, a handler of this program, or ignored.

    MindSpore installs its own handler when it compiles a graph, which ends the process as SIGTERM does. Call this
    function between two pieces of work, in the main thread.
    """
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))


def seed_dropout(random_seed: int, rank: int, steps_done: int) -> None:
    """Seed MindSpore's own dropout for the network that is built next.

    The seed differs between ranks, and between a resumed run and the process that it continues.
    """
    import mindspore

    mindspore.set_seed(int(np.random.SeedSequence((random_seed, rank, steps_done)).generate_state(1)[0] >> 1))


def require_compute_type(config: Config) -> None:
    """Raise a UsageError if the device, which must be set up, cannot multiply matrices in compute_type."""
    from mindspore import Tensor, nn, ops
    from mindspore import dtype as mstype

    from src.transformer.operators.selection import operators_of

    compute_type, device = config.model_config.compute_type, config.training_config.device_target
    if compute_type in ("auto", "float32"):
        return
    if operators_of(config).operators.kernel_library:
        return  # the C kernels have products of their own

    class Probe(nn.Cell):
        """One matrix product of each kind that the network uses."""

        def __init__(self):
            super().__init__()
            self.matmul = ops.MatMul(transpose_b=True)
            self.batch_matmul = ops.BatchMatMul()

        def construct(self, x: Tensor) -> Tensor:
            half = x.astype(getattr(mstype, compute_type))
            product = ops.reshape(self.matmul(half, half), (1, 2, 2))
            return self.batch_matmul(product, product).astype(mstype.float32)

    try:
        Probe()(Tensor(np.ones((2, 2), np.float32))).asnumpy()
    except (RuntimeError, TypeError, ValueError) as error:
        possible = "float32 or float16" if compute_type == "bfloat16" else "float32"
        raise UsageError(f"model_config.compute_type is {compute_type}: MindSpore has no kernel for matrix products of "
                         f"that type on {device}; use {possible}") from error
