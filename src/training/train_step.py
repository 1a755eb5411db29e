"""One optimizer step on the device, in three compiled pieces.

Gradients are sums over target symbols and are gathered in buffers beside the weights; they are divided by the number of
symbols only when they are applied. The piece that is compiled for each batch shape is thus the forward and backward
pass alone, and a step may gather several batches.
"""
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, mutable, nn, ops, value_and_grad
from mindspore import dtype as mstype

from src.dataset.batch import Batch
from src.transformer.transformer_for_train import TransformerForTrain


class GatherGradients(nn.Cell):
    """Adds a batch's gradients, times the loss scale, to the buffers."""

    def __init__(self, network: TransformerForTrain, parameters: ParameterTuple, buffers: ParameterTuple):
        super().__init__(auto_prefix=False)
        self.network = network
        self.buffers = buffers
        self.gradients = value_and_grad(self.scaled_loss, None, parameters, has_aux=True)

    def scaled_loss(self, loss_scale: Tensor, batch: tuple[Tensor, ...], seed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, nll = self.network(*batch, seed)
        return loss * loss_scale, loss, nll

    def construct(self, loss_scale: Tensor, batch: tuple[Tensor, ...], seed: Tensor) -> tuple[Tensor, Tensor]:
        (_, loss, nll), gradients = self.gradients(loss_scale, batch, seed)
        for i in range(len(gradients)):
            ops.assign_add(self.buffers[i], gradients[i])
        return loss, nll


class GradientNorm(nn.Cell):
    """Global norm of the buffers."""

    def __init__(self, buffers: ParameterTuple):
        super().__init__(auto_prefix=False)
        self.buffers = buffers

    def construct(self) -> Tensor:
        total = Tensor(0.0, mstype.float32)
        for buffer in self.buffers:
            # A product of vectors sums faster than a reduction (src/transformer/operators/fast_gradients.py).
            flat = ops.reshape(buffer, (1, -1))
            total = total + ops.reshape(ops.matmul(flat, ops.reshape(buffer, (-1, 1))), ())
        return ops.sqrt(total)


class ApplyGradients(nn.Cell):
    """Updates the weights by the buffers times a factor, clipped by their global norm (Pascanu et al., 2013)."""

    def __init__(self, optimizer: nn.Cell, buffers: ParameterTuple, clip_norm: float):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.buffers = buffers
        self.clip_norm = clip_norm

    def construct(self, norm: Tensor, factor: Tensor) -> Tensor:
        if self.clip_norm > 0.0:
            factor = ops.minimum(factor, self.clip_norm / norm)
        gradients = ()
        for buffer in self.buffers:
            gradients += (buffer * factor,)
        self.optimizer(gradients)
        return factor


class ClearGradients(nn.Cell):
    """Sets the buffers to zero, whatever they hold."""

    def __init__(self, buffers: ParameterTuple):
        super().__init__(auto_prefix=False)
        self.buffers = buffers

    def construct(self) -> tuple[Tensor, ...]:
        cleared = ()  # a graph that returns None cannot be written into MindSpore's compile cache
        for buffer in self.buffers:
            cleared += (ops.assign(buffer, ops.zeros_like(buffer)),)
        return cleared


class TrainStep:
    """The pieces, for the trainer's loop: `gather` once or more, `norm`, then `apply`, and `clear`."""

    def __init__(self, network: TransformerForTrain, optimizer: nn.Cell, clip_norm: float):
        parameters = ParameterTuple(network.trainable_params())
        buffers = ParameterTuple([Parameter(ops.zeros(parameter.shape, mstype.float32), requires_grad=False,
                                            name=f"gradient.{parameter.name}") for parameter in parameters])
        self.network = network
        self.optimizer = optimizer
        self.buffers = buffers
        self._gather = GatherGradients(network, parameters, buffers)
        self._norm = GradientNorm(buffers)
        self._apply = ApplyGradients(optimizer, buffers, clip_norm)
        self._clear = ClearGradients(buffers)

    def gather(self, batch: Batch, loss_scale: float, seed: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients; returns the sums of its smoothed loss and of its negative log-likelihood.

        `seed`: two words of 32 bits, of this batch's dropout.
        """
        return self._gather(Tensor(loss_scale, mstype.float32), mutable(tuple(map(Tensor, batch))),
                            Tensor(np.array(seed, np.uint32).view(np.int32)))

    def norm(self) -> Tensor:
        """Global norm of what was gathered, loss scale and all; not finite if any entry is not."""
        return self._norm()

    def apply(self, learning_rate: float, norm: Tensor, factor: float) -> None:
        """One update with the gathered gradients times `factor`, clipped; `norm` is that of what was gathered."""
        ops.assign(self.optimizer.learning_rate, Tensor(learning_rate, mstype.float32))
        self._apply(norm, Tensor(factor, mstype.float32))

    def clear(self) -> None:
        """Forget what was gathered."""
        self._clear()
