"""Random numbers that are computed from what they are for, not drawn one after another.

A generator with a state gives an example other numbers when it stands in another batch. Here a number is a mixing
function of its coordinates (seed, epoch, example, draw, column), the idea of counter-based generators (Salmon et al.,
2011, "Parallel random numbers: as easy as 1, 2, 3"): any number can be had at once, in any order, by any process.
"""
import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_ROUNDS = 8  # of the Feistel network, an even number
_FEW_BITS, _MORE_ROUNDS = 7, 16  # chi-square tests find 8 rounds uneven on few bits: so many more are made there


def random_key(*parts: int | np.ndarray) -> np.ndarray:
    """A uint64 key for these coordinates, integers from 0 on, in this order; arrays broadcast. At least 1-d."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        key = _mix(key ^ _mix(np.atleast_1d(np.asarray(part)).astype(np.uint64) + _GOLDEN))
    return key


class ExampleRandom:
    """Random numbers for the examples of a batch, in the manner of numpy's Generator.

    Row i belongs to `examples[i]` and is the same in whatever batch that example stands; column j is the same however
    many columns are drawn. Two calls on one object give independent numbers, as two calls on a Generator do.

    Args:
        key: what the numbers depend on beside the example, from `random_key`, such as seed and epoch.
        examples: [rows] indices.
    """

    def __init__(self, key: np.ndarray, examples: np.ndarray):
        self._keys = random_key(key, examples)
        self._calls = 0

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        """Uniform in [0, 1), float64; `size` is (rows,) or (rows, columns)."""
        return (self._bits(size) >> np.uint64(11)) * 2.0**-53

    def integers(self, low: int, high: int | np.ndarray, size: tuple[int, ...] | None = None,
                 dtype: type = np.int64, endpoint: bool = False) -> np.ndarray:
        """Uniform in low .. high - 1, or .. high with `endpoint`; `high` may be an array [rows].

        Fewer than 2^32 values; the probabilities of any two differ by a factor below 1 + values / 2^32.
        """
        values = np.asarray(high - low + endpoint).astype(np.uint64)
        bits = self._bits((len(self._keys),) if size is None else size) >> np.uint64(32)
        return ((bits * values) >> np.uint64(32)).astype(dtype) + dtype(low)

    def _bits(self, size: tuple[int, ...]) -> np.ndarray:
        if size[0] != len(self._keys) or len(size) > 2:
            raise ValueError(f"size {size}: these are random numbers for {len(self._keys)} examples, one a row")
        columns = np.arange(size[1] if len(size) == 2 else 1, dtype=np.uint64)
        counters = random_key(self._calls, columns)
        self._calls += 1
        # A second mixing, not a common sequence entered at random places: no two rows overlap.
        return _mix(self._keys[:, None] + counters).reshape(size)


def permuted(positions: np.ndarray, sizes: np.ndarray | int, keys: np.ndarray) -> np.ndarray:
    """Where random permutations send `positions`, 0 <= position < size: element i by permutation `keys[i]`.

    The permutation of 0 .. size - 1 is computed, never stored: a Feistel network is one-to-one on the numbers of some
    bits, and a result beyond the size is sent on until it falls inside (cycle walking; Black and Rogaway, 2002).

    Args:
        positions: [n] integers.
        sizes: [n] or one for all, at most 2^53.
        keys: [n] or [1] uint64.

    Returns:
        [n] int64
    """
    sizes = np.broadcast_to(np.asarray(sizes, np.int64), positions.shape)
    keys = np.broadcast_to(keys, positions.shape)
    bits = np.maximum(np.frexp((sizes - 1).astype(np.float64))[1], 2).astype(np.uint64)  # those of the last position
    out = np.array(positions, np.int64)
    outside = np.arange(len(out))
    while len(outside):
        out[outside] = _one_to_one(out[outside].astype(np.uint64), bits[outside], keys[outside]).astype(np.int64)
        outside = outside[out[outside] >= sizes[outside]]
    return out


def _one_to_one(values: np.ndarray, bits: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """A random one-to-one map of the numbers of so many bits, at least 2."""
    values = _feistel(values, bits, keys, _ROUNDS)
    few = bits <= _FEW_BITS
    if few.any():
        values[few] = _feistel(values[few], bits[few], ~keys[few], _MORE_ROUNDS)
    return values


def _feistel(values: np.ndarray, bits: np.ndarray, keys: np.ndarray, rounds: int) -> np.ndarray:
    right_bits = bits >> np.uint64(1)
    left_mask, right_mask = _mask(bits - right_bits), _mask(right_bits)
    left, right = values >> right_bits, values & right_mask
    for _ in range(rounds):
        keys = keys + _GOLDEN
        left, right = right, left ^ (_mix(keys + right) & left_mask)
        left_mask, right_mask = right_mask, left_mask  # the halves of an odd number of bits change places
    return (left << right_bits) | right


def _mask(bits: np.ndarray) -> np.ndarray:
    return (np.uint64(1) << bits) - np.uint64(1)


def _mix(values: np.ndarray) -> np.ndarray:
    """A one-to-one map of uint64, each bit of which depends on all (finalizer of SplitMix64; Steele et al., 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
