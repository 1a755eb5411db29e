"""Weights of the earlier implementation of MASS on MindSpore (official/nlp/mass of its model zoo).

Their shapes agree with ours, and so do positions, scaling, norms of sub-layers and the output projection. But its
self-attention normalizes the queries only: keys and values are computed of the input before the norm, in encoder and
decoder. With the same weights, our network, which normalizes all three, computes something else.
"""
import re
from collections.abc import Iterable

from src.common.errors import MassError

_NAMES = re.compile(r"(?:encoder|decoder)\.layers?\.?\d+\.(?:attention|masked_attn|enc_dec_attn)"
                    r"\.multi_head_self_attention\.(?:query|key|value|out)_layer\.")


def refuse_model_zoo(path: str, names: Iterable[str]) -> None:
    """Raise a MassError if the weights of a file have the names of the earlier implementation."""
    if any(map(_NAMES.search, names)):
        raise MassError(f"{path!r} holds weights of the earlier implementation of MASS (MindSpore's model zoo), whose "
                        f"self-attention computes keys and values of states that are not normalized: in this network "
                        f"the same weights compute something else, so train anew")
