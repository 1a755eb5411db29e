"""Attention masks as biases that are added to the scores: 0 where a key is attended to, -1e9 where it is masked."""
import numpy as np
from mindspore import Tensor, ops
from mindspore import dtype as mstype

MASKED_BIAS = -1e9


def mask_to_bias(mask: Tensor) -> Tensor:
    """Return the float32 bias of a mask of any shape that is 1 where attended to and 0 where masked."""
    return (1.0 - mask.astype(mstype.float32)) * MASKED_BIAS


def segment_mask(query_segments: Tensor, key_segments: Tensor, causal: bool) -> Tensor:
    """Return whether a query attends to a key, within segments: [batch, 1, query_len, key_len], bool.

    query_segments [batch, query_len] and key_segments [batch, key_len] are int32; see Operators.attention.
    """
    batch, query_len = query_segments.shape
    key_len = key_segments.shape[1]
    same = ops.reshape(query_segments, (batch, 1, query_len, 1)) == ops.reshape(key_segments, (batch, 1, 1, key_len))
    if causal:
        same = ops.logical_and(same, Tensor(np.tril(np.ones((1, 1, query_len, key_len), np.bool_))))
    return same


def segment_bias(query_segments: Tensor, key_segments: Tensor, causal: bool) -> Tensor:
    """Return the float32 bias of `segment_mask`."""
    return mask_to_bias(segment_mask(query_segments, key_segments, causal))


def create_attn_mask(mask: Tensor) -> Tensor:
    """Return the bias [batch, 1, 1, key_len] of a mask of the keys [batch, key_len], for all heads and queries."""
    batch, key_len = mask.shape
    return ops.reshape(mask_to_bias(mask), (batch, 1, 1, key_len))
