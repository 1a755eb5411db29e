"""The operators composed of MindSpore's own operators, for every device."""
from mindspore import ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from src.transformer.create_attn_mask import segment_bias
from src.transformer.operators.dot_product_attention import DotProductAttention, split_heads
from src.transformer.operators.fast_gradients import LogSumExp, Standardize, column_sums
from src.transformer.operators.interface import Operators


class MindSporeOperators(Operators):
    """Operators composed of MindSpore's own; see Operators for what they compute.

    Their cells do not use `dropout_seed`, because MindSpore draws dropout masks itself.

    Args:
        compute_type: type of the inputs and results of matrix multiplications, float32, float16 or bfloat16. Weights,
            gradients, norms, attention weights and losses are float32 in any case.
    """

    kernel_library = ""

    def __init__(self, compute_type: str = "float32"):
        self.compute_type = compute_type
        self._compute_type = getattr(mstype, compute_type)

    def matmul(self) -> nn.Cell:
        return _MatMul(self._compute_type)

    def sum_of_squares(self) -> nn.Cell:
        return _SumOfSquares()

    def adam(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
             constants: tuple[float, float, float]) -> nn.Cell:
        return _Adam(weights, means, variances, constants)

    def layer_norm(self, epsilon: float) -> nn.Cell:
        return _LayerNorm(epsilon)

    def residual(self, dropout: float) -> nn.Cell:
        return _Residual(dropout)

    def activation(self, name: str, dropout: float) -> nn.Cell:
        return _Activation(name, dropout)

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return _Attention(num_heads, dropout, causal, self._compute_type)

    def self_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return ComposedSelfAttention(self.matmul(), self.attention(num_heads, dropout, causal))

    def cross_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        return ComposedCrossAttention(self.matmul(), self.attention(num_heads, dropout, causal))

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        return _Embedding(scale, dropout)

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        return _CrossEntropy(target_weight, other_weight, self.matmul())


class _MatMul(nn.Cell):
    def __init__(self, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        product = self.matmul(x.astype(self.compute_type), weight.astype(self.compute_type))
        return product.astype(mstype.float32)


class _SumOfSquares(nn.Cell):
    """Each sum is a product of vectors, which is faster than a reduction."""

    def construct(self, *tensors: Tensor) -> Tensor:
        total = Tensor([0.0], mstype.float32)
        for x in tensors:
            square = ops.reshape(ops.matmul(ops.reshape(x, (1, -1)), ops.reshape(x, (-1, 1))), (1,))
            total = ops.add(total, square)
        return total


class _Adam(nn.Cell):
    def __init__(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
                 constants: tuple[float, float, float]):
        super().__init__(auto_prefix=False)
        self.weights, self.means, self.variances, self.constants = weights, means, variances, constants
        self.adam = ops.Adam()

    def construct(self, gradients: tuple[Tensor, ...], beta1_power: Tensor, beta2_power: Tensor, rate: Tensor,
                  factor: Tensor) -> Tensor:
        beta1, beta2, epsilon = self.constants
        for i in range(len(self.weights)):
            self.adam(self.weights[i], self.means[i], self.variances[i], beta1_power, beta2_power, rate, beta1, beta2,
                      epsilon, ops.mul(gradients[i], factor))
        return factor


class _LayerNorm(nn.Cell):
    def __init__(self, epsilon: float):
        super().__init__()
        self.standardize = Standardize(epsilon)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        standardized, _ = self.standardize(x)
        return standardized * gamma + beta


class _Residual(nn.Cell):
    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, x: Tensor, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return x + self.dropout(product + bias)


class _Activation(nn.Cell):
    def __init__(self, name: str, dropout: float):
        super().__init__()
        self.activation = {"relu": ops.relu, "gelu": ops.gelu}[name]
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, product: Tensor, bias: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.dropout(self.activation(product + bias))


class _Attention(nn.Cell):
    def __init__(self, num_heads: int, dropout: float, causal: bool, compute_type: mstype.Type):
        super().__init__()
        self.compute_type = compute_type
        self.num_heads = num_heads
        self.causal = causal
        self.dropout = nn.Dropout(p=dropout)
        self.dot_product_attention = DotProductAttention(compute_type)

    def construct(self, queries: Tensor, keys: Tensor, values: Tensor, query_bias: Tensor, key_bias: Tensor,
                  value_bias: Tensor, query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        batch = query_segments.shape[0]
        q, k, v = [split_heads((x + b).astype(self.compute_type), batch, self.num_heads)
                   for x, b in ((queries, query_bias), (keys, key_bias), (values, value_bias))]
        weights = self.dot_product_attention.weights(q, k, segment_bias(query_segments, key_segments, self.causal))
        return self.dot_product_attention.context(self.dropout(weights), v)


class ComposedCrossAttention(nn.Cell):
    """See Operators.cross_attention: three products, then the attention."""

    def __init__(self, matmul: nn.Cell, attention: nn.Cell):
        super().__init__()
        self.matmul, self.attention = matmul, attention

    def construct(self, x: Tensor, key_value_states: Tensor, query_weight: Tensor, key_weight: Tensor,
                  value_weight: Tensor, query_bias: Tensor, key_bias: Tensor, value_bias: Tensor,
                  query_segments: Tensor, key_segments: Tensor, dropout_seed: Tensor) -> Tensor:
        return self.attention(self.matmul(x, query_weight), self.matmul(key_value_states, key_weight),
                              self.matmul(key_value_states, value_weight), query_bias, key_bias, value_bias,
                              query_segments, key_segments, dropout_seed)


class ComposedSelfAttention(nn.Cell):
    """See Operators.self_attention."""

    def __init__(self, matmul: nn.Cell, attention: nn.Cell):
        super().__init__()
        self.of_states = ComposedCrossAttention(matmul, attention)

    def construct(self, x: Tensor, query_weight: Tensor, key_weight: Tensor, value_weight: Tensor, query_bias: Tensor,
                  key_bias: Tensor, value_bias: Tensor, query_segments: Tensor, key_segments: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        return self.of_states(x, x, query_weight, key_weight, value_weight, query_bias, key_bias, value_bias,
                              query_segments, key_segments, dropout_seed)


class _Embedding(nn.Cell):
    def __init__(self, scale: float, dropout: float):
        super().__init__()
        self.scale = scale
        self.dropout = nn.Dropout(p=dropout)

    def construct(self, table: Tensor, ids: Tensor, positions: Tensor, position_table: Tensor,
                  dropout_seed: Tensor) -> Tensor:
        return self.dropout(ops.gather(table, ids, 0) * self.scale + ops.gather(position_table, positions, 0))


class _CrossEntropy(nn.Cell):
    """Only lse(z) needs all logits z: z_y is s . E_y, and sum(z) is s . (sum of the rows of E).

    s is the row's decoder state, E the embedding table and y the label.
    """

    def __init__(self, target_weight: float, other_weight: float, matmul: nn.Cell):
        super().__init__()
        self.target_weight = target_weight
        self.other_weight = other_weight
        self.log_sum_exp = LogSumExp()
        self.matmul = matmul

    def construct(self, states: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        present = (labels != 0).astype(mstype.float32)
        target = ops.sum(states * ops.gather(table, labels, 0), -1)
        log_sum = self.log_sum_exp(self.matmul(states, table))
        loss = log_sum - self.target_weight * target
        if self.other_weight != 0.0:
            table_sum = ops.reshape(column_sums(table), (-1, 1))
            loss = loss - self.other_weight * ops.reshape(ops.matmul(states, table_sum), (-1,))
        loss = loss * present
        return ops.reshape(ops.sum(loss), (1,)), loss, (log_sum - target) * present
