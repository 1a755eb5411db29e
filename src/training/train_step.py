"""One optimizer step on the device, in separately compiled pieces.

Gradients are sums over target tokens. They are accumulated in buffers beside the weights and divided by the number of
target tokens only when they are applied, so that only the forward and backward pass is compiled for each batch shape. A
step accumulates any number of batches (gradient accumulation) and all-reduces the buffers over the ranks; either way
the result is that of one large batch.
"""
import math
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops, value_and_grad
from mindspore import dtype as mstype
from mindspore.ops.auto_generate import SplitWithSize

from src.dataset.batching.batch import Batch
from src.runtime.distributed import AllReduceParameters, Ranks
from src.transformer.operators.interface import Operators
from src.transformer.transformer_for_train import TransformerForTrain


class StepSums(NamedTuple):
    """The sums of a step over all batches and ranks, in the order of the tensor that they are read from."""

    loss: float  # label-smoothed, summed over target tokens
    nll: float  # negative log-likelihood, summed over target tokens
    targets: float  # number of target tokens
    tokens: float  # number of source and target tokens, without padding
    stop: float  # number of ranks that were requested to stop, once for each of their batches
    norm: float  # global norm of the gradients times the loss scale; not finite if any entry is not


TARGETS, NORM = StepSums._fields.index("targets"), StepSums._fields.index("norm")


class AccumulateGradients(nn.Cell):
    """Adds a batch's gradients times the loss scale to the buffers; with `add` false it overwrites the buffers.

    There is one buffer for each parameter, or one for all of them, end to end.
    """

    def __init__(self, network: TransformerForTrain, parameters: ParameterTuple, buffers: ParameterTuple, add: bool):
        super().__init__(auto_prefix=False)
        self.network = network
        self.flat = len(buffers) < len(parameters)
        self.store = ops.AssignAdd() if add else ops.Assign()
        self.buffers = buffers
        self.gradients = value_and_grad(self.scaled_loss, None, parameters, has_aux=True)

    def scaled_loss(self, loss_scale: Tensor, batch: tuple[Tensor, ...],
                    dropout_seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, nll = self.network(*batch, dropout_seed)
        return loss * loss_scale, loss, nll

    def construct(self, loss_scale: Tensor, batch: tuple[Tensor, ...], dropout_seed: Tensor) -> tuple[Tensor, Tensor]:
        (_, loss, nll), gradients = self.gradients(loss_scale, batch, dropout_seed)
        if self.flat:
            self.store(self.buffers[0], ops.concat([ops.reshape(gradient, (-1,)) for gradient in gradients]))
        else:
            for i in range(len(gradients)):
                self.store(self.buffers[i], gradients[i])
        return loss, nll


class AccumulateSums(nn.Cell):
    """Adds a batch's loss, negative log-likelihood and counts to the step's sums, or overwrites them."""

    def __init__(self, sums: Parameter, add: bool):
        super().__init__(auto_prefix=False)
        self.sums = sums
        self.store = ops.AssignAdd() if add else ops.Assign()

    def construct(self, loss: Tensor, nll: Tensor, counts: Tensor) -> Tensor:
        return self.store(self.sums, ops.concat((ops.reshape(loss, (1,)), ops.reshape(nll, (1,)), counts)))


class GradientNorm(nn.Cell):
    """Returns the step's sums with the global norm of the buffers: [6], in the order of StepSums."""

    def __init__(self, buffers: ParameterTuple, sums: Parameter, operators: Operators):
        super().__init__(auto_prefix=False)
        self.buffers = buffers
        self.sums = sums
        self.sum_of_squares = operators.sum_of_squares()

    def construct(self) -> Tensor:
        return ops.concat((self.sums, ops.sqrt(self.sum_of_squares(*self.buffers))))


class ApplyGradients(nn.Cell):
    """Updates the weights by the mean gradient per target token, clipped by its global norm (Pascanu et al., 2013).

    If `guarded`, gradients whose norm is not finite leave the weights and the state of the optimizer as they are.
    """

    def __init__(self, optimizer: nn.Cell, buffers: ParameterTuple, clip_norm: float, guarded: bool):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.buffers = buffers
        self.sizes = [parameter.size for parameter in optimizer.parameters]
        self.flat = len(buffers) < len(self.sizes)
        self.split = SplitWithSize()  # one kernel; ops.split is one for each part, and GPU does not have mint.split
        self.clip_norm = clip_norm
        self.guarded = guarded
        self.slice = ops.Slice()

    def construct(self, sums: Tensor, loss_scale: Tensor) -> Tensor:
        targets, norm = [ops.reshape(self.slice(sums, (place,), (1,)), ()) for place in (TARGETS, NORM)]
        factor = 1.0 / (loss_scale * targets)
        if self.clip_norm > 0.0:
            factor = ops.minimum(factor, self.clip_norm / norm)
        if not self.guarded:
            return self.update(factor)
        if norm < math.inf:  # a branch of the graph; false for NaN
            factor = self.update(factor)
        return factor

    def update(self, factor: Tensor) -> Tensor:
        if not self.flat:
            return self.optimizer(self.buffers, factor)
        return self.optimizer(self.split(ops.mul(self.buffers[0], factor), self.sizes), None)


class TrainStep:
    """The pieces of a step, for the training loop: `accumulate` for each batch, `all_reduce`, then `apply`, `clear`.

    With `flat_gradients`, one buffer holds the gradients of all parameters: accumulation, norm and all-reduce are a few
    large operations instead of some for each parameter.
    """

    def __init__(self, network: TransformerForTrain, optimizer: nn.Cell, clip_norm: float, ranks: Ranks,
                 operators: Operators, flat_gradients: bool = False):
        parameters = ParameterTuple(network.trainable_params())
        sizes = {f"gradient.{parameter.name}": parameter.shape for parameter in parameters}
        if flat_gradients:
            sizes = {"flat_gradients": (sum(parameter.size for parameter in parameters),)}
        buffers = [Parameter(Tensor(np.zeros(shape, np.float32)), name=name, requires_grad=False)
                   for name, shape in sizes.items()]
        sums = Parameter(Tensor(np.zeros(len(StepSums._fields) - 1, np.float32)), requires_grad=False, name="step_sums")
        self.network = network
        self.optimizer = optimizer
        self.buffers = ParameterTuple(buffers)
        self.sums = sums
        self._overwrite, self._add = (AccumulateGradients(network, parameters, self.buffers, add)
                                      for add in (False, True))
        self._overwrite_sums, self._add_sums = (AccumulateSums(sums, add) for add in (False, True))
        self._all_reduce = AllReduceParameters(ParameterTuple([sums, *buffers])) if ranks.world_size > 1 else None
        self._norm = GradientNorm(self.buffers, sums, operators)
        self._apply, self._apply_guarded = (ApplyGradients(optimizer, self.buffers, clip_norm, guarded)
                                            for guarded in (False, True))
        self._assign = ops.Assign()
        self._empty = True  # whether the buffers still hold the previous step

    def accumulate(self, batch: Batch, loss_scale: float, dropout_seed: np.ndarray,
                   stop: bool = False) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients to the buffers.

        Args:
            dropout_seed: [2] int32, the seed of this batch's dropout; see `derive_dropout_seed`.
            stop: whether this rank was requested to stop; `StepSums.stop` reports it to all ranks.

        Returns:
            The sums of the batch's label-smoothed loss and of its negative log-likelihood over its target tokens.
        """
        accumulate, accumulate_sums = ((self._overwrite, self._overwrite_sums) if self._empty
                                       else (self._add, self._add_sums))
        loss, nll = accumulate(Tensor(loss_scale, mstype.float32), mutable(tuple(map(Tensor, batch))),
                               Tensor(dropout_seed))
        counts = np.array([batch.target_tokens, batch.tokens, stop], np.float32)
        accumulate_sums(loss, nll, Tensor(counts))
        self._empty = False
        return loss, nll

    def all_reduce(self) -> Tensor:
        """Add up the buffers of all ranks and return the step's sums, on the device, for `read_sums` and `apply`."""
        if self._all_reduce:
            self._all_reduce()
        return self._norm()

    def apply(self, learning_rate: float, sums: Tensor, loss_scale: float, guarded: bool = False) -> None:
        """Update the weights by the mean of the accumulated gradients over the target tokens, clipped.

        Without `guarded` the caller has read back that the norm is finite; with it the device checks that.
        """
        self._assign(self.optimizer.learning_rate, Tensor(learning_rate, mstype.float32))
        apply = self._apply_guarded if guarded else self._apply
        apply(sums, Tensor(loss_scale, mstype.float32))

    def clear(self) -> None:
        """Discard the accumulated gradients and sums."""
        self._empty = True


def derive_dropout_seed(random_seed: int, step: int, number: int, rank: int) -> np.ndarray:
    """Return the seed of the dropout of batch `number` of a step on a rank: [2] int32."""
    return np.random.SeedSequence((random_seed, step, number, rank)).generate_state(2).view(np.int32)


def read_sums(sums: Tensor) -> StepSums:
    """Wait for the device and read the sums of a step."""
    return StepSums(*map(float, sums.asnumpy()))
