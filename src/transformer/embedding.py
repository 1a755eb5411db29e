"""The one embedding table: source, target and output share it."""
import math

from mindspore import Parameter, Tensor, nn, ops

from src.utils.initializer import embedding_table


class Embedding(nn.Cell):
    """Look-up in a table [vocab_size, hidden_size], scaled by sqrt(hidden_size) (Vaswani et al., 2017, 3.4).

    The same table, unscaled, turns decoder states into logits (Press and Wolf, 2017).
    """

    def __init__(self, vocab_size: int, hidden_size: int, deviation: float, seed: int):
        super().__init__()
        self.table = Parameter(Tensor(embedding_table(vocab_size, hidden_size, deviation, seed)))
        self.scale = math.sqrt(hidden_size)

    def construct(self, ids: Tensor) -> Tensor:
        """[...] int32 ids -> [..., hidden_size]."""
        return ops.gather(self.table, ids, 0) * self.scale

    def rows(self, ids: Tensor) -> Tensor:
        """[...] int32 ids -> [..., hidden_size], unscaled: the output weights of these symbols."""
        return ops.gather(self.table, ids, 0)

    def logits(self, states: Tensor) -> Tensor:
        """[rows, hidden_size] -> [rows, vocab_size]."""
        return ops.matmul(states, ops.transpose(self.table, (1, 0)))
