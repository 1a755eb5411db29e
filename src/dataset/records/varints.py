"""Variable-length integers as protocol buffers store them.

Seven bits of the integer per byte, the lowest first; the high bit is set in all bytes but the last.
https://protobuf.dev/programming-guides/encoding/#varints
"""
import numpy as np


def encode_varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode integers from 0 to 2^31 - 1, [n].

    Returns:
        The bytes, [total] uint8, and the number of bytes of each integer, [n].

    Raises:
        ValueError: an integer is negative.
    """
    values = np.asarray(values)
    if values.size and values.min() < 0:
        raise ValueError(f"ids are not negative, found {values.min()}")
    values = values.astype(np.uint32)
    sizes = 1 + sum((values >= 1 << bits).astype(np.int64) for bits in (7, 14, 21, 28))
    ends = np.cumsum(sizes)
    starts = ends - sizes
    encoded = np.empty(ends[-1] if len(ends) else 0, dtype=np.uint8)
    for byte in range(sizes.max(initial=0)):
        chosen = sizes > byte
        more = (sizes[chosen] > byte + 1) * np.uint8(0x80)
        encoded[starts[chosen] + byte] = (values[chosen] >> 7 * byte & 0x7F) | more
    return encoded, sizes


def decode_varints(encoded: np.ndarray) -> np.ndarray:
    """Decode the bytes of complete varints below 2^31, [total] uint8, to integers, [n] int32."""
    ends = np.flatnonzero(encoded < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    sizes = ends - starts + 1
    values = (encoded[starts] & 0x7F).astype(np.int32)
    for byte in range(1, sizes.max(initial=0)):
        chosen = sizes > byte
        values[chosen] |= (encoded[starts[chosen] + byte] & 0x7F).astype(np.int32) << 7 * byte
    return values
