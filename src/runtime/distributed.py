"""The processes that train together: who they are, and how they add up what each of them has."""
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init

from src.common.errors import MassError
from src.runtime.device import started_together

# Seconds. The CPU's collectives give up after 30 by default, but other ranks may compile, validate or save for longer.
# That a rank is gone, its silence shows: it stops sending signs of life, and MindSpore ends the others with SIGTERM.
TIMEOUTS = {"MS_CPU_COMM_OP_TIMEOUT": "3600", "MS_NODE_TIMEOUT": "15"}
STUCK_AFTER = 10.0  # after that SIGTERM, a rank that still waits inside MindSpore waits for one that is gone
GROUP_ELEMENTS = 2**24  # float32 numbers that are summed over the ranks in one message


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one network together (data-parallel).

    `all_reduce` sums a float32 vector over all ranks.
    """

    rank: int = 0
    world_size: int = 1
    all_reduce: Callable[[np.ndarray], np.ndarray] = np.asarray

    @property
    def main(self) -> bool:
        """Whether this is the one that reports and writes files."""
        return self.rank == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all ranks, the same on all of them; values are exact to 48 bits.

        Each rank's values travel as pairs of float32 numbers in places of their own, where nothing is added to them.
        """
        if self.world_size == 1:
            return [float(value) for value in values]
        own = np.asarray(values, np.float64)
        high = own.astype(np.float32)
        slots = np.zeros((self.world_size, 2, len(own)), np.float32)
        slots[self.rank] = high, own - high
        return self.all_reduce(slots.ravel()).reshape(slots.shape).astype(np.float64).sum(axis=(0, 1)).tolist()

    def from_main(self, data: bytes) -> bytes:
        """The main rank's `data`, on all ranks; the others' does not matter."""
        if self.world_size == 1:
            return data
        own = np.frombuffer(data if self.main else b"", np.uint8)
        size = int(self.sums([len(own)])[0])
        letters = own.astype(np.float32) if self.main else np.zeros(size, np.float32)
        return self.all_reduce(letters).astype(np.uint8).tobytes()

    def copy_from_main(self, parameters: Sequence[Parameter]) -> None:
        """Set these parameters on all ranks to those of the main rank; whole numbers are exact up to 2^24."""
        if self.world_size == 1:
            return
        for parameter in parameters:
            own = parameter.asnumpy() if self.main else np.zeros(parameter.shape)
            values = self.all_reduce(own.astype(np.float32).ravel()).reshape(parameter.shape)
            parameter.set_data(Tensor(values, parameter.dtype))


class AllReduce(nn.Cell):
    """The sum of a float32 vector over all ranks."""

    def __init__(self):
        super().__init__(auto_prefix=False)
        self.all_reduce = ops.AllReduce()

    def construct(self, x: Tensor) -> Tensor:
        return self.all_reduce(x)


class SumOverRanks(nn.Cell):
    """Replaces float32 parameters by their sums over all ranks.

    Many short messages are slow, so the parameters are laid end to end into a few long ones.
    """

    def __init__(self, parameters: ParameterTuple):
        super().__init__(auto_prefix=False)
        self.parameters = parameters
        self.groups = _groups([parameter.size for parameter in parameters])
        self.all_reduce = ops.AllReduce()

    def construct(self) -> None:
        for group in self.groups:
            parts = ()
            for i, _, _ in group:
                parts += (ops.reshape(self.parameters[i], (-1,)),)
            flat = self.all_reduce(ops.concat(parts))
            for i, start, size in group:
                part = ops.slice(flat, (start,), (size,))
                ops.assign(self.parameters[i], ops.reshape(part, self.parameters[i].shape))


def join_ranks(device_target: str) -> Ranks:
    """Find the other processes that msrun, or a rank table, has started with this one; alone without them.

    The device must be set before. In msrun's scheduler, which trains nothing, this call lasts until training is over
    and ends the process.

    Raises:
        MassError: they do not come together, or (in the scheduler) one of them has ended.
    """
    if not started_together():
        return Ranks()
    for name, value in TIMEOUTS.items():
        os.environ.setdefault(name, value)
    try:
        init()
    except (RuntimeError, ValueError) as error:
        role = os.environ.get("MS_ROLE", "").removeprefix("MS_").lower() or "process"
        raise MassError(f"{role} {os.environ.get('RANK_ID', '')}: the processes on {device_target} did not come "
                        f"together, or one has ended: {str(error).strip().splitlines()[0]}") from error
    reduce = AllReduce()
    return Ranks(get_rank(), get_group_size(), lambda vector: reduce(Tensor(vector)).asnumpy())


def _groups(sizes: Sequence[int]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """Numbers of the parameters that travel together, each with its first place in the message and its size."""
    groups, start = [[]], 0
    for i, size in enumerate(sizes):
        if start and start + size > GROUP_ELEMENTS:
            groups.append([])
            start = 0
        groups[-1].append((i, start, size))
        start += size
    return tuple(map(tuple, groups))
