"""The processes of a distributed run: their ranks, and their collective communication."""
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init

from src.common.errors import MassError
from src.common.interruption import waiting_in_mindspore
from src.runtime.device import is_distributed

# In seconds. By default, collective operations on the CPU fail after 30, but other ranks may compile, validate or save
# for longer. A dead rank is detected by its missing heartbeat: MindSpore then ends the other ranks with SIGTERM.
TIMEOUTS = {"MS_CPU_COMM_OP_TIMEOUT": "3600", "MS_NODE_TIMEOUT": "15"}
STUCK_AFTER = 10.0  # seconds after that SIGTERM, a rank that still waits inside MindSpore is waiting for a dead one
MAX_MESSAGE = 2**24  # number of float32 values that are all-reduced in one message


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one network together (data-parallel).

    `all_reduce` returns the sum of a float32 vector over all ranks.
    """

    rank: int = 0
    world_size: int = 1
    all_reduce: Callable[[np.ndarray], np.ndarray] = np.asarray

    @property
    def main(self) -> bool:
        """Whether this is the rank that reports and writes files."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each value over all ranks, the same on all of them, with 48 bits of precision.

        Each rank sends its values as pairs of float32 numbers in slots of its own, to which the others add zero.
        """
        if self.world_size == 1:
            return [float(value) for value in values]
        own = np.asarray(values, np.float64)
        high = own.astype(np.float32)
        slots = np.zeros((self.world_size, 2, len(own)), np.float32)
        slots[self.rank] = high, own - high
        return self.all_reduce(slots.ravel()).reshape(slots.shape).astype(np.float64).sum(axis=(0, 1)).tolist()

    def broadcast(self, data: bytes) -> bytes:
        """Return the main rank's `data` on all ranks; the argument of the other ranks is ignored."""
        if self.world_size == 1:
            return data
        own = np.frombuffer(data if self.main else b"", np.uint8)
        size = int(self.sum([len(own)])[0])
        values = own.astype(np.float32) if self.main else np.zeros(size, np.float32)
        return self.all_reduce(values).astype(np.uint8).tobytes()

    def broadcast_parameters(self, parameters: Sequence[Parameter]) -> None:
        """Set these parameters on all ranks to the main rank's values; integers are exact up to 2^24."""
        if self.world_size == 1:
            return
        for parameter in parameters:
            own = parameter.asnumpy() if self.main else np.zeros(parameter.shape)
            values = self.all_reduce(own.astype(np.float32).ravel()).reshape(parameter.shape)
            parameter.set_data(Tensor(values, parameter.dtype))


class AllReduce(nn.Cell):
    """Returns the sum of a float32 vector over all ranks."""

    def __init__(self):
        super().__init__(auto_prefix=False)
        self.all_reduce = ops.AllReduce()

    def construct(self, x: Tensor) -> Tensor:
        return self.all_reduce(x)


class AllReduceParameters(nn.Cell):
    """Replaces float32 parameters by their sums over all ranks.

    Many short messages are slow, so the parameters are concatenated into a few long ones.
    """

    def __init__(self, parameters: ParameterTuple):
        super().__init__(auto_prefix=False)
        self.parameters = parameters
        self.messages = plan_messages([parameter.size for parameter in parameters])
        self.all_reduce, self.slice, self.assign = ops.AllReduce(), ops.Slice(), ops.Assign()

    def construct(self) -> None:
        for message in self.messages:
            flat = self.all_reduce(ops.concat([ops.reshape(self.parameters[i], (-1,)) for i, _, _ in message]))
            for i, start, size in message:
                part = self.slice(flat, (start,), (size,))
                self.assign(self.parameters[i], ops.reshape(part, self.parameters[i].shape))


def join_ranks(device_target: str) -> Ranks:
    """Connect with the other processes that msrun or a rank table has started together with this one, if any.

    The device must be set before. In msrun's scheduler, which does not train, this call lasts until training is over
    and ends the process.

    Raises:
        MassError: the processes cannot connect, or (in the scheduler) one of them has ended.
    """
    if not is_distributed():
        return Ranks()
    for name, value in TIMEOUTS.items():
        os.environ.setdefault(name, value)
    try:
        with waiting_in_mindspore():  # for the other processes; some may have been stopped already
            init()
    except (RuntimeError, ValueError) as error:
        role = os.environ.get("MS_ROLE", "").removeprefix("MS_").lower() or "process"
        raise MassError(f"{role} {os.environ.get('RANK_ID', '')}: the processes on {device_target} could not "
                        f"connect, or one has ended: {str(error).strip().splitlines()[0]}") from error
    reduce = AllReduce()
    return Ranks(get_rank(), get_group_size(), lambda vector: reduce(Tensor(vector)).asnumpy())


def plan_messages(sizes: Sequence[int]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """Divide parameters of these sizes among messages of at most MAX_MESSAGE values; a larger one has its own message.

    Returns:
        For each message (parameter number, first position in the message, size) of its parameters, in order.
    """
    messages, start = [[]], 0
    for i, size in enumerate(sizes):
        if start and start + size > MAX_MESSAGE:
            messages.append([])
            start = 0
        messages[-1].append((i, start, size))
        start += size
    return tuple(map(tuple, messages))
