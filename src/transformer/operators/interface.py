"""The interface of the operators that the network is made of."""
from typing import Protocol

from mindspore import ParameterTuple, nn


class Operators(Protocol):
    """A factory of operators for one network. Each method returns a cell; its docstring gives the cell's signature.

    All matrices are flat, [rows, columns], and float32. An implementation may compute its products in another type; the
    results that only products read, those of layer_norm, activation and the attentions, are then of that type.

    A `product` is the result of a matrix multiplication to which the bias of the dense layer has not been added yet:
    the operator adds the bias in the same pass over memory.
    `dropout_seed` is an int32 tensor [2] that changes with every training step. Cells drop nothing out in evaluation
    (`set_train(False)`).

    There are three implementations: MindSporeOperators (mindspore_operators.py), composed of MindSpore's own operators
    for the CPU, AcceleratorOperators (accelerator_operators.py), composed of them for GPU and Ascend, and COperators
    (c_operators.py), C kernels for the CPU. `choose_operators` (selection.py) chooses between them.

    Attributes:
        kernel_library: path of the compiled C kernels that these operators run, "" if they run none. The search runs
            its steps with the same library.
        compute_type: of the inputs of matrix products: float32, float16 or bfloat16.
    """

    kernel_library: str
    compute_type: str

    def matmul(self) -> nn.Cell:
        """Return the cell (x, weight) -> x weight^T.

        x [rows, in_features], weight [out_features, in_features] -> [rows, out_features].
        """

    def sum_of_squares(self) -> nn.Cell:
        """Return the cell (tensor, ...) -> the sum of the squares of all tensors, which have any shapes -> [1]."""

    def adam(self, weights: ParameterTuple, means: ParameterTuple, variances: ParameterTuple,
             constants: tuple[float, float, float]) -> nn.Cell:
        """Return the cell that updates weights by Adam; see src/training/optimizer.py for the formula.

        (gradients, beta1_power, beta2_power, rate, factor) -> factor. `gradients` is a tuple with a tensor for each
        weight, which is multiplied by `factor`; the powers are beta^step.

        Args:
            means, variances: of the gradients, of the shapes of the weights; they are updated, too.
            constants: beta1, beta2 and epsilon.
        """

    def layer_norm(self, epsilon: float) -> nn.Cell:
        """Return the cell (x, gamma, beta) -> (x - mean) / sqrt(variance + epsilon) * gamma + beta.

        Mean and variance are those of each row (Ba et al., 2016).
        x [rows, columns], gamma and beta [columns] -> [rows, columns].
        """

    def residual(self, dropout: float) -> nn.Cell:
        """Return the cell (x, product, bias, dropout_seed) -> x + dropout(product + bias).

        x and product [rows, columns], bias [columns] -> [rows, columns].
        """

    def activation(self, name: str, dropout: float) -> nn.Cell:
        """Return the cell (product, bias, dropout_seed) -> dropout(activation(product + bias)).

        `name` is "relu" or "gelu" (the exact form, with erf).
        product [rows, columns], bias [columns] -> [rows, columns].
        """

    def attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        """Return the cell of scaled dot-product attention within segments (Vaswani et al., 2017, 3.2).

        (queries, keys, values, query_bias, key_bias, value_bias, query_segments, key_segments, dropout_seed) ->
        dropout(softmax(q k^T / sqrt(head_size))) v for each head, with q = queries + query_bias, and so on.

        queries [batch * query_len, hidden], keys and values [batch * key_len, hidden], the biases [hidden] ->
        the context [batch * query_len, hidden]. Segments are int32: a row may hold several sentences, which are
        numbered from 1 in query_segments [batch, query_len]; 0 is padding. A query of segment s attends to the keys
        whose key_segments [batch, key_len] is s; if `causal`, only to those up to its own place in the segment. Masked
        keys of segment s have -s, padding has 0. The context of padding is undefined.
        """

    def self_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        """Return the cell of attention whose queries, keys and values are projections of one sequence.

        (x, query_weight, key_weight, value_weight, query_bias, ...) -> the result of `attention` with queries =
        x query_weight^T, and so on; from query_bias on the arguments are those of `attention`.

        x [batch * length, hidden], the weights [hidden, hidden] -> the context [batch * length, hidden].
        """

    def cross_attention(self, num_heads: int, dropout: float, causal: bool) -> nn.Cell:
        """Return the cell of attention whose keys and values are projections of another sequence than the queries.

        (x, key_value_states, query_weight, key_weight, value_weight, query_bias, ...) -> the context; otherwise as
        `self_attention`. key_value_states is [batch * key_len, hidden].
        """

    def embedding(self, scale: float, dropout: float) -> nn.Cell:
        """Return the cell (table, ids, positions, position_table, dropout_seed) -> embedded tokens with positions.

        The result is dropout(table[ids] * scale + position_table[positions]).
        table [vocab_size, hidden], ids and positions [rows] int32, position_table [positions, hidden] ->
        [rows, hidden].
        """

    def cross_entropy(self, target_weight: float, other_weight: float) -> nn.Cell:
        """Return the cell of the output layer with its label-smoothed loss: (states, table, labels) -> three results.

        With logits z = states table^T, label y and lse(z) = log(sum(exp(z))), the loss of a row is
        lse(z) - target_weight * z_y - other_weight * sum(z), and its negative log-likelihood is lse(z) - z_y. Both are
        0 where the label is <pad> (0). The results are the sum of the losses [1], the losses [rows] and the negative
        log-likelihoods [rows]. Only the sum may be differentiated, so that its gradient for the logits is known but
        for a factor in the forward pass.
        states [rows, hidden], table [vocab_size, hidden], labels [rows] int32 -> [1], [rows], [rows].
        """
