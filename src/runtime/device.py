"""Setting up MindSpore for a device."""
import os
import signal

import numpy as np

from config.config import Config
from src.common.errors import MassError, UsageError


def is_distributed() -> bool:
    """Return whether msrun, or the launcher of a rank table, has started this process together with others."""
    return "MS_ROLE" in os.environ or os.environ.get("RANK_SIZE", "1") != "1"


def set_up_device(config: Config) -> None:
    """Select graph mode, the device and MindSpore's seed.

    A process of a distributed run uses the device DEVICE_ID, which msrun or the launcher of a rank table has set in its
    environment, instead of training_config.device_id.

    Raises:
        MassError: MindSpore cannot use the device on this machine.
    """
    import mindspore

    model, training = config.model_config, config.training_config
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    device_id = int(os.environ.get("DEVICE_ID", training.device_id)) if is_distributed() else training.device_id
    try:
        mindspore.set_device(training.device_target, 0 if training.device_target == "CPU" else device_id)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MassError(f"training_config.device_target is {training.device_target}: MindSpore "
                        f"{mindspore.__version__} cannot use it here ({reason})") from error
    if model.save_graphs:
        mindspore.set_context(save_graphs=1, save_graphs_path="graphs")
    mindspore.set_seed(model.random_seed)


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

    from src.transformer.operators.selection import choose_operators

    compute_type, device = config.model_config.compute_type, config.training_config.device_target
    if compute_type in ("auto", "float32"):
        return
    training = config.training_config
    if choose_operators(device, training.native_kernels, compute_type).operators.kernel_library:
        return  # the C kernels have products of their own

    class Probe(nn.Cell):
        """One matrix product of each kind that the network uses."""

        def __init__(self):
            super().__init__()
            self.matmul = ops.MatMul(transpose_b=True)
            self.batch_matmul = ops.BatchMatMul()

        def construct(self, x: Tensor) -> Tensor:
            half = ops.cast(x, getattr(mstype, compute_type))
            product = ops.reshape(self.matmul(half, half), (1, 2, 2))
            return ops.cast(self.batch_matmul(product, product), mstype.float32)

    try:
        Probe()(ops.ones((2, 2), mstype.float32)).asnumpy()
    except (RuntimeError, TypeError, ValueError) as error:
        possible = "float32 or float16" if compute_type == "bfloat16" else "float32"
        raise UsageError(f"model_config.compute_type is {compute_type}: MindSpore has no kernel for matrix products of "
                         f"that type on {device}; use {possible}") from error
