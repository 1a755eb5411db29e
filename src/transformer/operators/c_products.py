"""The matrix products of dense layers as C kernels, in float32 and with inputs rounded to bfloat16."""
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.operators.kernel_cells import KernelCell, like


class MatMul(KernelCell):
    """(x, weight) -> x weight^T in float32."""

    def __init__(self, library: str):
        super().__init__(library)
        self.forward = self.kernel("matmul_forward", lambda *s: [s[0][0], s[1][0]], lambda *t: t[0])
        self.backward = self.kernel("matmul_backward", *like(1, 2))

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.forward(x, weight)

    def bprop(self, x, weight, out, dout):
        return self.backward(dout, x, weight)


class ProductKernels(KernelCell):
    """The kernels of products of one matrix with `number` weights of equal shapes; inputs are rounded to bfloat16."""

    def forward(self, number: int) -> ops.Custom:
        """(x, weights) -> (products, rounded weights, which the backward kernel needs).

        x [rows, in_features] bfloat16, weights [out_features, in_features] -> products [rows, out_features] float32.
        """
        return self.kernel("projections_forward",
                           lambda *s: tuple([[s[0][0], s[1][0]]] * number + list(s[1 : 1 + number])),
                           lambda *t: (mstype.float32,) * number + (mstype.bfloat16,) * number)

    def backward(self, number: int) -> ops.Custom:
        """(x, rounded weights, gradients of the products) -> (gradient of x, gradients of the weights).

        The gradients of the products are float32 or bfloat16, those that are returned float32.
        """
        return self.kernel("projections_backward", lambda *s: tuple(s[: 1 + number]),
                           lambda *t: (mstype.float32,) * (1 + number))

    def round(self) -> ops.Custom:
        """x float32 -> x bfloat16."""
        return self.kernel("round_to_bfloat16", lambda *s: s[0], lambda *t: mstype.bfloat16)


class Round(nn.Cell):
    """x -> x rounded to bfloat16; the gradient is passed on as it is. An x that is bfloat16 already is returned."""

    def __init__(self, kernels: ProductKernels):
        super().__init__()
        self.round = _RoundFloats(kernels)

    def construct(self, x: Tensor) -> Tensor:
        return self.round(x) if x.dtype == mstype.float32 else x


class RoundedMatMul(nn.Cell):
    """(x, weight) -> x weight^T, float32, with inputs rounded to bfloat16. x may be bfloat16 already."""

    def __init__(self, kernels: ProductKernels):
        super().__init__()
        self.round = Round(kernels)
        self.with_rounded = _RoundedMatMul(kernels)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.with_rounded(self.round(x), weight)[0]


class _RoundFloats(nn.Cell):
    def __init__(self, kernels: ProductKernels):
        super().__init__()
        self.forward = kernels.round()

    def construct(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def bprop(self, x, out, dout):
        return (dout,)


class _RoundedMatMul(nn.Cell):
    """Returns the rounded weight as well, which the gradient needs."""

    def __init__(self, kernels: ProductKernels):
        super().__init__()
        self.forward, self.backward = kernels.forward(1), kernels.backward(1)

    def construct(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(x, weight)

    def bprop(self, x, weight, out, dout):
        return self.backward(x, out[1], dout[0])
