"""The output layer and its loss as one C kernel, in float32 and with inputs of products rounded to bfloat16."""
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.c_products import ProductKernels, Round
from src.transformer.operators.kernel_cells import KernelCell, like

_CHUNK = 256  # rows whose logits are in memory at once; fewer make the products slower


class CrossEntropy(nn.Cell):
    """See Operators.cross_entropy.

    Args:
        compute_type: of the inputs of products, float32 or bfloat16.
    """

    def __init__(self, library: str, target_weight: float, other_weight: float, compute_type: mstype.Type):
        super().__init__()
        rounded = compute_type == mstype.bfloat16
        self.round = Round(ProductKernels(library)) if rounded else nn.Identity()
        self.with_gradients = _CrossEntropyWithGradients(library, target_weight, other_weight, rounded)

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.with_gradients(self.round(states), table, labels)[:3]


class _CrossEntropyWithGradients(KernelCell):
    """In training, returns the gradients of the sum for states and table as well.

    The last results are the rounded table, if the inputs of products are rounded, and a workspace of no meaning.
    """

    def __init__(self, library: str, target_weight: float, other_weight: float, rounded: bool):
        super().__init__(library)
        self.weights = Tensor(np.array([target_weight, other_weight], np.float32))
        tables = int(rounded)
        types = (mstype.bfloat16,) * tables + (mstype.float32,)

        def last(shapes: tuple[list[int], ...]) -> list[list[int]]:
            return [shapes[1]] * tables + [_workspace(*shapes[0], shapes[1][0], rounded)]

        # inputs: states, table, labels, weights
        self.forward = self.kernel("cross_entropy_forward", lambda *s: ([1], s[2], s[2], *last(s)),
                                   lambda *t: (mstype.float32,) * 3 + types)
        self.gradients = self.kernel("cross_entropy_gradients",
                                     lambda *s: ([1], s[2], s[2], s[0], s[1], *last(s)),
                                     lambda *t: (mstype.float32,) * 5 + types)
        self.backward = self.kernel("cross_entropy_backward", *like(1, 2))

    def construct(self, states, table, labels):
        if self.training:
            return self.gradients(states, table, labels, self.weights)
        return self.forward(states, table, labels, self.weights)

    def bprop(self, states, table, labels, out, dout):
        results = out if self.training else self.gradients(states, table, labels, self.weights)
        dstates, dtable = self.backward(dout[0], results[3], results[4])
        return dstates, dtable, ops.zeros_like(labels)


def _workspace(rows: int, hidden: int, vocabulary: int, rounded: bool) -> list[int]:
    """Return the shape of the memory in which the kernel computes a chunk of rows, float32.

    A row holds logits, padded to an odd number of cache lines, two states and, if `rounded`, bfloat16 logits.
    """
    logits = -(-vocabulary // 16) * 16 | 16
    return [min(rows, _CHUNK), logits + 2 * hidden + (logits // 2 if rounded else 0)]
