"""Random numbers as a function of what they are used for, instead of a sequence that is drawn one after another.

A generator with a state gives an example different numbers in another batch. Here a number is a mixing function of its
coordinates (seed, epoch, example, draw, column), as in counter-based generators (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3"). Any process can compute any number directly, in any order.
"""
import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_ROUNDS = 8  # rounds of the Feistel network, an even number
_FEW_BITS, _MORE_ROUNDS = 7, 16  # with few bits, chi-square tests find 8 rounds uneven: 16 more are made then


def random_key(*parts: int | np.ndarray) -> np.ndarray:
    """Return a uint64 key, at least 1-d, for these coordinates: integers that are not negative; arrays broadcast."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        key = _mix(key ^ _mix(np.atleast_1d(np.asarray(part)).astype(np.uint64) + _GOLDEN))
    return key


class ExampleRandom:
    """Random numbers for the examples of a batch, with the methods of numpy's Generator.

    Row i belongs to `examples[i]` and does not depend on the other examples of the batch; column j does not depend on
    the number of columns. Two calls on one object give independent numbers, as two calls on a Generator do.

    Args:
        key: a `random_key` of everything else that the numbers depend on, such as seed and epoch.
        examples: [rows], the indices of the examples.
    """

    def __init__(self, key: np.ndarray, examples: np.ndarray):
        self._keys = random_key(key, examples)
        self._calls = 0

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        """Return float64 numbers that are uniform in [0, 1); `size` is (rows,) or (rows, columns)."""
        return (self._bits(size) >> np.uint64(11)) * 2.0**-53

    def integers(self, low: int, high: int | np.ndarray, size: tuple[int, ...] | None = None,
                 dtype: type = np.int64, endpoint: bool = False) -> np.ndarray:
        """Return integers that are uniform in low .. high - 1, or low .. high with `endpoint`.

        `high` may be an array, [rows]. There must be fewer than 2^32 possible values; the probabilities of any two of
        them differ by a factor below 1 + values / 2^32.
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
        # The sum is mixed again, because rows of one common sequence, entered at random places, could overlap.
        return _mix(self._keys[:, None] + counters).reshape(size)


def permuted(positions: np.ndarray, sizes: np.ndarray | int, keys: np.ndarray) -> np.ndarray:
    """Return where random permutations map positions.

    A permutation of 0 .. size - 1 is computed, never stored: a Feistel network is one-to-one on all numbers of a given
    number of bits, and it is applied again to each result that is not below the size (cycle walking; Black and Rogaway,
    2002).

    Args:
        positions: [n] integers, 0 <= position < size.
        sizes: [n] or one for all, at most 2^53.
        keys: [n] or [1] uint64; position i is mapped by the permutation that belongs to keys[i].

    Returns:
        [n] int64
    """
    sizes = np.broadcast_to(np.asarray(sizes, np.int64), positions.shape)
    keys = np.broadcast_to(keys, positions.shape)
    bits = np.maximum(np.frexp((sizes - 1).astype(np.float64))[1], 2).astype(np.uint64)  # enough for the last position
    out = np.array(positions, np.int64)
    outside = np.arange(len(out))
    while len(outside):
        out[outside] = _one_to_one(out[outside].astype(np.uint64), bits[outside], keys[outside]).astype(np.int64)
        outside = outside[out[outside] >= sizes[outside]]
    return out


def _one_to_one(values: np.ndarray, bits: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Map values, [n] uint64, one-to-one among the numbers of `bits` bits; `bits`, [n], is at least 2."""
    values = _feistel(values, bits, keys, _ROUNDS)
    few = bits <= _FEW_BITS
    if few.any():
        values[few] = _feistel(values[few], bits[few], ~keys[few], _MORE_ROUNDS)
    return values


def _feistel(values: np.ndarray, bits: np.ndarray, keys: np.ndarray, rounds: int) -> np.ndarray:
    """Apply an even number of rounds of a Feistel network to values of `bits` bits, [n] uint64."""
    right_bits = bits >> np.uint64(1)
    left_mask, right_mask = _mask(bits - right_bits), _mask(right_bits)
    left, right = values >> right_bits, values & right_mask
    for _ in range(rounds):
        keys = keys + _GOLDEN
        left, right = right, left ^ (_mix(keys + right) & left_mask)
        left_mask, right_mask = right_mask, left_mask  # the halves of an odd number of bits change places
    return (left << right_bits) | right


def _mask(bits: np.ndarray) -> np.ndarray:
    """Return numbers whose lowest `bits` bits are set."""
    return (np.uint64(1) << bits) - np.uint64(1)


def _mix(values: np.ndarray) -> np.ndarray:
    """Map uint64 one-to-one so that each bit depends on all bits (finalizer of SplitMix64; Steele et al., 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
