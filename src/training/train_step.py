"""One optimizer step on the device, in compiled pieces.

Gradients are sums over target symbols and are gathered in buffers beside the weights; they are divided by the number of
symbols only when they are applied. The piece that is compiled for each batch shape is thus the forward and backward
pass alone. A step gathers as many batches as it likes (gradient accumulation) and adds up what all ranks have gathered:
in both cases the result is that of one large batch.
"""
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops, value_and_grad
from mindspore import dtype as mstype

from src.dataset.batching.batch import Batch
from src.runtime.distributed import Ranks, SumOverRanks
from src.transformer.operators.interface import Operators
from src.transformer.transformer_for_train import TransformerForTrain


class StepSums(NamedTuple):
    """What a step has gathered over all batches and ranks. The order is that of the tensor it is read from."""

    loss: float  # smoothed, summed over target symbols
    nll: float  # negative log-likelihood, likewise
    targets: float  # target symbols
    tokens: float  # source and target symbols without padding
    stop: float  # ranks that wish to stop
    norm: float  # global norm of the gradients, loss scale and all; not finite if any entry is not


class GatherGradients(nn.Cell):
    """Puts a batch's gradients, times the loss scale, into the buffers, or adds them to what is there."""

    def __init__(self, network: TransformerForTrain, parameters: ParameterTuple, buffers: ParameterTuple, add: bool):
        super().__init__(auto_prefix=False)
        self.network = network
        self.put = ops.assign_add if add else ops.assign
        self.buffers = buffers
        self.gradients = value_and_grad(self.scaled_loss, None, parameters, has_aux=True)

    def scaled_loss(self, loss_scale: Tensor, batch: tuple[Tensor, ...], seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, nll = self.network(*batch, seed)
        return loss * loss_scale, loss, nll

    def construct(self, loss_scale: Tensor, batch: tuple[Tensor, ...], seed: Tensor) -> tuple[Tensor, Tensor]:
        (_, loss, nll), gradients = self.gradients(loss_scale, batch, seed)
        for i in range(len(gradients)):
            self.put(self.buffers[i], gradients[i])
        return loss, nll


class GatherSums(nn.Cell):
    """Likewise a batch's loss, negative log-likelihood and counts."""

    def __init__(self, sums: Parameter, add: bool):
        super().__init__(auto_prefix=False)
        self.sums = sums
        self.put = ops.assign_add if add else ops.assign

    def construct(self, loss: Tensor, nll: Tensor, counts: Tensor) -> Tensor:
        return self.put(self.sums, ops.concat((ops.reshape(loss, (1,)), ops.reshape(nll, (1,)), counts)))


class GradientNorm(nn.Cell):
    """The step's sums with the global norm of the buffers: [6], as StepSums names them."""

    def __init__(self, buffers: ParameterTuple, sums: Parameter, operators: Operators):
        super().__init__(auto_prefix=False)
        self.buffers = buffers
        self.sums = sums
        self.sum_of_squares = operators.sum_of_squares()

    def construct(self) -> Tensor:
        total = Tensor([0.0], mstype.float32)
        for buffer in self.buffers:
            total = ops.add(total, self.sum_of_squares(buffer))
        return ops.concat((self.sums, ops.sqrt(total)))


class ApplyGradients(nn.Cell):
    """Updates the weights by the mean gradient per target symbol, clipped by its global norm (Pascanu et al., 2013)."""

    def __init__(self, optimizer: nn.Cell, buffers: ParameterTuple, clip_norm: float):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.buffers = buffers
        self.clip_norm = clip_norm

    def construct(self, sums: Tensor, loss_scale: Tensor) -> Tensor:
        targets, norm = ops.reshape(ops.slice(sums, (2,), (1,)), ()), ops.reshape(ops.slice(sums, (5,), (1,)), ())
        factor = 1.0 / (loss_scale * targets)
        if self.clip_norm > 0.0:
            factor = ops.minimum(factor, self.clip_norm / norm)
        return self.optimizer(self.buffers, factor)


class TrainStep:
    """The pieces, for the trainer's loop: `gather` once or more, `total`, then `apply`, and `clear`."""

    def __init__(self, network: TransformerForTrain, optimizer: nn.Cell, clip_norm: float, ranks: Ranks,
                 operators: Operators):
        parameters = ParameterTuple(network.trainable_params())
        buffers = [Parameter(ops.zeros(parameter.shape, mstype.float32), requires_grad=False,
                             name=f"gradient.{parameter.name}") for parameter in parameters]
        sums = Parameter(ops.zeros((len(StepSums._fields) - 1,), mstype.float32), requires_grad=False, name="step_sums")
        self.network = network
        self.optimizer = optimizer
        self.buffers = ParameterTuple(buffers)
        self.sums = sums
        self._put, self._add = (GatherGradients(network, parameters, self.buffers, add) for add in (False, True))
        self._put_sums, self._add_sums = (GatherSums(sums, add) for add in (False, True))
        self._over_ranks = SumOverRanks(ParameterTuple([sums, *buffers])) if ranks.world_size > 1 else None
        self._norm = GradientNorm(self.buffers, sums, operators)
        self._apply = ApplyGradients(optimizer, self.buffers, clip_norm)
        self._empty = True  # what the buffers hold is of the step before

    def gather(self, batch: Batch, loss_scale: float, seed: np.ndarray, stop: bool = False) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients; returns the sums of its smoothed loss and of its negative log-likelihood.

        Args:
            seed: [2] int32, of this batch's dropout; see `dropout_seed`.
            stop: tells the other ranks that this one wishes to stop.
        """
        gather, gather_sums = (self._put, self._put_sums) if self._empty else (self._add, self._add_sums)
        loss, nll = gather(Tensor(loss_scale, mstype.float32), mutable(tuple(map(Tensor, batch))), Tensor(seed))
        counts = np.array([batch.target_tokens, batch.tokens, stop], np.float32)
        gather_sums(loss, nll, Tensor(counts))
        self._empty = False
        return loss, nll

    def total(self) -> Tensor:
        """Add up what all ranks have gathered; the result, on the device, is for `read_sums` and `apply`."""
        if self._over_ranks:
            self._over_ranks()
        return self._norm()

    def apply(self, learning_rate: float, sums: Tensor, loss_scale: float) -> None:
        """One update with the mean of the gathered gradients over the target symbols, clipped."""
        ops.assign(self.optimizer.learning_rate, Tensor(learning_rate, mstype.float32))
        self._apply(sums, Tensor(loss_scale, mstype.float32))

    def clear(self) -> None:
        """Forget what was gathered."""
        self._empty = True


def dropout_seed(random_seed: int, step: int, number: int, rank: int) -> np.ndarray:
    """[2] int32: seed of the dropout of batch `number` of a step on a rank."""
    return np.random.SeedSequence((random_seed, step, number, rank)).generate_state(2).view(np.int32)


def read_sums(sums: Tensor) -> StepSums:
    """Wait for the device and read a step's sums."""
    return StepSums(*map(float, sums.asnumpy()))


