"""Scaled dot-product attention composed of MindSpore's operators, with a bias for the masks."""
import math

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype


class DotProductAttention(nn.Cell):
    """softmax(q k^T / sqrt(head_size) + bias) v for each head (Vaswani et al., 2017, 3.2), in two parts.

    Queries are [batch, num_heads, query_len, head_size], keys and values [batch, num_heads, key_len, head_size].
    """

    def __init__(self, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.matmul_keys = ops.BatchMatMul(transpose_b=True)
        self.matmul_values = ops.BatchMatMul()

    def weights(self, q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
        """Return the weights [batch, num_heads, query_len, key_len] float32; `bias` broadcasts to this shape."""
        scores = self.matmul_keys(q * (1.0 / math.sqrt(q.shape[3])), k)
        return ops.softmax(scores.astype(mstype.float32) + bias, -1)

    def context(self, weights: Tensor, v: Tensor) -> Tensor:
        """Return the weighted sums of the values, the heads side by side: [batch * query_len, hidden] float32."""
        batch, num_heads, _, head_size = v.shape
        context = self.matmul_values(weights.astype(self.compute_type), v).astype(mstype.float32)
        return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, num_heads * head_size))


def split_heads(x: Tensor, batch: int, num_heads: int) -> Tensor:
    """[batch * length, hidden] -> [batch, num_heads, length, head_size]."""
    return ops.transpose(ops.reshape(x, (batch, -1, num_heads, x.shape[1] // num_heads)), (0, 2, 1, 3))
