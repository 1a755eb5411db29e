"""The operators composed from MindSpore's own, for every device. See native.py for the other form.

All matrices are float32 and flat, [rows, columns]. The dropout seed is not used here: MindSpore draws the masks itself.
"""
import math

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.create_attn_mask import segment_bias
from src.transformer.operators.fast_gradients import AddBias, LogSumExp, ScaleShift, Standardize, column_sums


class MindSporeOperators:
    """Makes the operators of a network.

    `compute_type` (float32, float16 or bfloat16) is that of the matrix products' inputs and results; weights,
    gradients, norms, weights of attentions, and losses are float32 in any case.
    """

    kernel_library = ""

    def __init__(self, compute_type: str = "float32"):
        self._type = getattr(mstype, compute_type)

    def sum_of_squares(self) -> nn.Cell:
        return SumOfSquares()

    def matmul(self) -> nn.Cell:
        return Product(self._type)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return LayerNorm(epsilon)

    def residual(self, dropout: float) -> nn.Cell:
        return Residual(dropout)

    def activation(self, name: str, dropout: float) -> nn.Cell:
        return Activation(name, dropout)

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return Attention(num_heads, dropout, causal, self._type)

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        return Embedding(scale, dropout)

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        return CrossEntropy(target_weight, other_weight, self.matmul())


class Product(nn.Cell):
    """x weight^T for x [rows, in_features], weight [out_features, in_features]."""

    def __init__(self, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        product = self.matmul(ops.cast(x, self.compute_type), ops.cast(weight, self.compute_type))
        return ops.cast(product, mstype.float32)


class SumOfSquares(nn.Cell):
    """Sum of the squares of a tensor of any shape, [1]. A product of vectors sums faster than a reduction."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.reshape(ops.matmul(ops.reshape(x, (1, -1)), ops.reshape(x, (-1, 1))), (1,))


class LayerNorm(nn.Cell):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the rows of x (Ba et al., 2016)."""

    def __init__(self, epsilon: float):
        super().__init__()
        self.standardize = Standardize(epsilon)
        self.scale_shift = ScaleShift()

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        standardized, _ = self.standardize(x)
        return self.scale_shift(standardized, gamma, beta)


class Residual(nn.Cell):
    """x + dropout(product + bias) for x and product [rows, columns], bias [columns]."""

    def __init__(self, dropout: float):
        super().__init__()
        self.add_bias = AddBias()
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, seed: Tensor) -> Tensor:
        return x + self.dropout(self.add_bias(product, bias))


class Activation(nn.Cell):
    """dropout(activation(product + bias)) for product [rows, columns], bias [columns]."""

    def __init__(self, name: str, dropout: float):
        super().__init__()
        self.add_bias = AddBias()
        self.activation = {"relu": ops.relu, "gelu": ops.gelu}[name]
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, product: Tensor, bias: Tensor, seed: Tensor) -> Tensor:
        return self.dropout(self.activation(self.add_bias(product, bias)))


class DotProductAttention(nn.Cell):
    """softmax(q k^T / sqrt(head_size) + bias) v for each head (Vaswani et al., 2017, 3.2), in two halves.

    Queries are [batch, num_heads, query_len, head_size], keys and values [batch, num_heads, key_len, head_size].
    """

    def __init__(self, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()

    def weights(self, q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
        """[batch, num_heads, query_len, key_len] float32, the shape that the bias, which hides keys, broadcasts to."""
        scores = self.scores(q * (1.0 / math.sqrt(q.shape[3])), k)
        return ops.softmax(ops.cast(scores, mstype.float32) + bias, -1)

    def mixed(self, weights: Tensor, v: Tensor) -> Tensor:
        """[batch * query_len, hidden] float32."""
        batch, num_heads, _, size = v.shape
        mixed = ops.cast(self.mix(ops.cast(weights, self.compute_type), v), mstype.float32)
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, num_heads * size))


class Attention(nn.Cell):
    """DotProductAttention within segments.

    Queries [batch * query_len, hidden], keys and values [batch * key_len, hidden] come without their biases [hidden].
    A query of segment s (query_segments [batch, query_len] int32, 0 at padding) sees the keys whose key_segments
    [batch, key_len] is s; if `causal`, those up to its own place. Hidden keys have -s, padding 0.
    """

    def __init__(self, num_heads: int, dropout: float, causal: bool, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.num_heads = num_heads
        self.causal = causal
        self.add_bias = AddBias()
        self.dropout = nn.Dropout(p=dropout)
        self.dot_product = DotProductAttention(compute_type)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor, query_bias: Tensor, key_bias: Tensor,
                  value_bias: Tensor, query_segments: Tensor, key_segments: Tensor, seed: Tensor) -> Tensor:
        batch = query_segments.shape[0]
        q, k, v = [split_heads(ops.cast(self.add_bias(x, b), self.compute_type), batch, self.num_heads)
                   for x, b in ((queries, query_bias), (keys, key_bias), (values, value_bias))]
        weights = self.dot_product.weights(q, k, segment_bias(query_segments, key_segments, self.causal))
        return self.dot_product.mixed(self.dropout(weights), v)


def split_heads(x: Tensor, batch: int, num_heads: int) -> Tensor:
    """[batch * length, hidden] -> [batch, num_heads, length, head_size]."""
    return ops.transpose(ops.reshape(x, (batch, -1, num_heads, x.shape[1] // num_heads)), (0, 2, 1, 3))


class Embedding(nn.Cell):
    """dropout(table[ids] * scale + position_table[positions]) for ids and positions [rows] int32."""

    def __init__(self, scale: float, dropout: float):
        super().__init__()
        self.scale = scale
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, table: Tensor, ids: Tensor, positions: Tensor, position_table: Tensor, seed: Tensor) -> Tensor:
        return self.dropout(ops.gather(table, ids, 0) * self.scale + ops.gather(position_table, positions, 0))


class CrossEntropy(nn.Cell):
    """Label-smoothed loss and negative log-likelihood of each row, 0 where the label is <pad> (0).

    For states s [rows, hidden], the table E [symbols, hidden] and labels y [rows], with logits z = s E^T:
    lse(z) - target_weight z_y - other_weight sum(z), and lse(z) - z_y. Training uses the gradient of the former only.
    Here the sum of all logits is s . (sum of the rows of E), and z_y is s . E_y, so that only lse needs the logits.
    """

    def __init__(self, target_weight: float, other_weight: float, product: nn.Cell):
        super().__init__()
        self.target_weight = target_weight
        self.other_weight = other_weight
        self.log_sum_exp = LogSumExp()
        self.logits = product

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        present = ops.cast(labels != 0, mstype.float32)
        target = ops.sum(states * ops.gather(table, labels, 0), -1)
        log_sum = self.log_sum_exp(self.logits(states, table))
        loss = log_sum - self.target_weight * target
        if self.other_weight != 0.0:
            table_sum = ops.reshape(column_sums(table), (-1, 1))
            loss = loss - self.other_weight * ops.reshape(ops.matmul(states, table_sum), (-1,))
        return loss * present, (log_sum - target) * present
