"""What an attention may look at, as a bias that is added to its scores: 0 is visible, -1e9 is hidden."""
import numpy as np
from mindspore import Tensor, ops
from mindspore import dtype as mstype

HIDDEN = -1e9


def visible_to_bias(visible: Tensor) -> Tensor:
    """Turn a mask of any shape, 1 where visible and 0 where hidden, into the float32 bias of that shape."""
    return (1.0 - ops.cast(visible, mstype.float32)) * HIDDEN


def create_attn_mask(visible: Tensor) -> Tensor:
    """[batch, key_len] mask of the visible keys -> bias [batch, 1, 1, key_len], the same for all heads and queries."""
    batch, key_len = visible.shape
    return ops.reshape(visible_to_bias(visible), (batch, 1, 1, key_len))


def create_causal_mask(visible: Tensor) -> Tensor:
    """[batch, length] mask of the visible positions -> bias [batch, 1, length, length].

    Position i sees the visible positions 0 .. i.
    """
    batch, length = visible.shape
    earlier = Tensor(np.tril(np.ones((1, 1, length, length), np.float32)))
    return visible_to_bias(earlier * ops.reshape(ops.cast(visible, mstype.float32), (batch, 1, 1, length)))
