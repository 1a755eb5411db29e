"""What an attention may look at, as a bias that is added to its scores: 0 is visible, -1e9 is hidden."""
import numpy as np
from mindspore import Tensor, ops
from mindspore import dtype as mstype

HIDDEN = -1e9


def visible_to_bias(visible: Tensor) -> Tensor:
    """Turn a mask of any shape, 1 where visible and 0 where hidden, into the float32 bias of that shape."""
    return (1.0 - ops.cast(visible, mstype.float32)) * HIDDEN


def segment_bias(query_segments: Tensor, key_segments: Tensor, causal: bool) -> Tensor:
    """[batch, query_len], [batch, key_len] int32 -> [batch, 1, query_len, key_len]; see operators/interface.py."""
    batch, query_len = query_segments.shape
    key_len = key_segments.shape[1]
    same = ops.reshape(query_segments, (batch, 1, query_len, 1)) == ops.reshape(key_segments, (batch, 1, 1, key_len))
    visible = ops.cast(same, mstype.float32)
    if causal:
        visible = visible * Tensor(np.tril(np.ones((1, 1, query_len, key_len), np.float32)))
    return visible_to_bias(visible)


def create_attn_mask(visible: Tensor) -> Tensor:
    """[batch, key_len] mask of the visible keys -> bias [batch, 1, 1, key_len], the same for all heads and queries."""
    batch, key_len = visible.shape
    return ops.reshape(visible_to_bias(visible), (batch, 1, 1, key_len))
