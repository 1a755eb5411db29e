"""TFRecord files of integer sequences, without TensorFlow.

A TFRecord file is a chain of frames: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data.
The data of each frame is a `tf.train.Example`, a protocol buffer that maps a column's name to its packed varints:

    Example.features > Features.feature (a map entry a column) > key, Feature.int64_list > Int64List.value

Columns are written in order of their names, so equal examples give equal bytes, and every frame of a file has the same
layout. That layout is what lets numpy decode the frames of a block all at once instead of one by one.

https://www.tensorflow.org/tutorials/load_data/tfrecord, https://protobuf.dev/programming-guides/encoding/
"""
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import BinaryIO, NamedTuple

import numpy as np
from crc32c import crc32c

from src.common.errors import MassError
from src.common.ragged import RaggedArray

# The first byte of a protocol buffer field: its number and, in the low three bits, 2 for "length and bytes".
FIELD_1, FIELD_2, FIELD_3 = b"\x0a", b"\x12", b"\x1a"


class Frames(NamedTuple):
    """Frames end to end."""

    data: bytes
    offsets: np.ndarray  # [n + 1], frame i is the bytes offsets[i] to offsets[i + 1]


def encode_frames(columns: Mapping[str, RaggedArray]) -> Frames:
    """One frame an example, an example being sequence i of each column.

    Raises:
        ValueError: a negative id.
    """
    entries = [_encode_column(name, columns[name]) for name in sorted(columns)]
    frames = []
    for parts in zip(*entries, strict=True):
        features = b"".join(parts)
        data = FIELD_1 + _varint(len(features)) + features
        frames.append(_frame_header(len(data)) + data + struct.pack("<I", _masked_crc(data)))
    return Frames(b"".join(frames), np.concatenate([[0], np.cumsum([len(frame) for frame in frames], dtype=np.int64)]))


class TFRecordWriter:
    """Writes frames into one file or, example i into file i mod n, several."""

    def __init__(self, paths: Sequence[str]):
        self._streams = [open(path, "wb") for path in paths]  # noqa: SIM115 (closed by `close`)
        self._written = 0

    def write(self, frames: Frames) -> None:
        shards, count = len(self._streams), len(frames.offsets) - 1
        if shards == 1:
            self._streams[0].write(frames.data)
        else:
            offsets = frames.offsets.tolist()
            for first in range(min(shards, count)):
                chosen = [frames.data[offsets[i] : offsets[i + 1]] for i in range(first, count, shards)]
                self._streams[(self._written + first) % shards].write(b"".join(chosen))
        self._written += count

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


def read_tfrecord(path: str, columns: Sequence[str], block_size: int) -> Iterator[dict[str, RaggedArray]]:
    """Yield the examples of a file that `TFRecordWriter` made, `block_size` at a time (the last block: the rest).

    Raises:
        MassError: a frame is cut short, fails its checksum or has another layout; the message names file and record.
    """
    number = 0
    with open(path, "rb") as stream:
        frames = _read_frames(stream, path)
        while block := list(islice(frames, block_size)):
            try:
                yield _decode_block(block, sorted(columns))
            except _LayoutError as error:
                raise MassError(
                    f"{path}: record {number + error.row + 1} does not hold integer columns {', '.join(columns)} as "
                    f"written by the data set scripts; make the file again"
                ) from None
            number += len(block)


def encode_varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode [n] ids as varints: seven bits a byte, lowest first, the high bit set in all bytes but the last.

    Returns:
        The bytes, [total] uint8, and how many of them each id takes, [n].
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
    """Decode the bytes of whole varints below 2^31, [total] uint8 -> [n] int32."""
    ends = np.flatnonzero(encoded < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    sizes = ends - starts + 1
    values = (encoded[starts] & 0x7F).astype(np.int32)
    for byte in range(1, sizes.max(initial=0)):
        chosen = sizes > byte
        values[chosen] |= (encoded[starts[chosen] + byte] & 0x7F).astype(np.int32) << 7 * byte
    return values


def _encode_column(name: str, sequences: RaggedArray) -> list[bytes]:
    """One map entry (name and packed ids) a sequence."""
    encoded, sizes = encode_varints(sequences.values)
    byte_ends = np.concatenate([[0], np.cumsum(sizes)])[sequences.offsets[1:]].tolist()
    packed, start, entries = encoded.tobytes(), 0, []
    for end in byte_ends:
        entries.append(_entry_header(name, end - start) + packed[start:end])
        start = end
    return entries


@lru_cache(maxsize=4096)
def _entry_header(name: str, size: int) -> bytes:
    """All that stands before the `size` bytes of packed ids in the map entry of column `name`."""
    header = FIELD_1 + _varint(size)  # Int64List.value
    for tag in (FIELD_3, FIELD_2):  # Feature.int64_list, then the entry's value
        header = tag + _varint(len(header) + size) + header
    key = name.encode()
    header = FIELD_1 + _varint(len(key)) + key + header
    return FIELD_1 + _varint(len(header) + size) + header


@lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    return encode_varints(np.array([value]))[0].tobytes()


@lru_cache(maxsize=4096)
def _frame_header(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + struct.pack("<I", _masked_crc(length))


def _masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord asks, so that a CRC of data that holds CRCs stays sound."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_frames(stream: BinaryIO, path: str) -> Iterator[bytes]:
    """Yield the data of each frame, its checksums compared."""
    number = 0

    def damage(what: str) -> MassError:
        return MassError(f"{path}: record {number} {what}; make the file again")

    while header := stream.read(12):
        number += 1
        if len(header) < 12:
            raise damage("is cut short: the file is incomplete")
        size = int.from_bytes(header[:8], "little")
        if header != _frame_header(size):
            raise damage("is damaged: the checksum of its length does not match")
        data, checksum = stream.read(size), stream.read(4)
        if len(checksum) < 4:
            raise damage("is cut short: the file is incomplete")
        if checksum != struct.pack("<I", _masked_crc(data)):
            raise damage("is damaged: the checksum of its data does not match")
        yield data


class _LayoutError(Exception):
    def __init__(self, row: int):
        super().__init__(row)
        self.row = row


class _Cursor:
    """Reads the frames of a block in step: one position a frame, all moved by the same call."""

    def __init__(self, buffer: np.ndarray, positions: np.ndarray):
        self.buffer = buffer  # [total] uint8
        self.positions = positions  # [n]

    def require(self, good: np.ndarray) -> None:
        """Raise a _LayoutError for the first frame for which `good`, [n] bool, does not hold."""
        if not good.all():
            raise _LayoutError(int(np.argmin(good)))

    def byte(self) -> np.ndarray:
        """[n] uint8: the next byte of each frame."""
        found = self.buffer.take(self.positions, mode="clip")
        self.positions = self.positions + 1
        return found

    def expect(self, literal: bytes) -> None:
        for byte in literal:
            self.require(self.byte() == byte)

    def end_of_field(self) -> np.ndarray:
        """[n]: read a length, of at most five bytes, and return where the bytes it counts end."""
        length, more = np.zeros(len(self.positions), np.int64), np.ones(len(self.positions), bool)
        for shift in range(0, 35, 7):
            found = np.where(more, self.buffer.take(self.positions, mode="clip"), 0)
            self.positions = self.positions + more
            length |= (found & 0x7F).astype(np.int64) << shift
            more = found >= 0x80
        self.require(~more)
        return self.positions + length


def _decode_block(frames: list[bytes], columns: list[str]) -> dict[str, RaggedArray]:
    """Decode the frames of a block, each an Example of exactly these columns."""
    buffer = np.frombuffer(b"".join(frames), dtype=np.uint8)
    frame_ends = np.cumsum([len(frame) for frame in frames])
    cursor = _Cursor(buffer, np.concatenate([[0], frame_ends[:-1]]))
    cursor.expect(FIELD_1)
    cursor.require(cursor.end_of_field() == frame_ends)
    decoded = {}
    for name in columns:
        key = name.encode()
        cursor.expect(FIELD_1)
        entry_ends = cursor.end_of_field()
        cursor.require(entry_ends <= frame_ends)
        cursor.expect(FIELD_1 + _varint(len(key)) + key)
        for tag in (FIELD_2, FIELD_3, FIELD_1):
            cursor.expect(tag)
            cursor.require(cursor.end_of_field() == entry_ends)
        decoded[name] = _decode_spans(cursor, entry_ends)
        cursor.positions = entry_ends
    cursor.require(cursor.positions == frame_ends)
    return decoded


def _decode_spans(cursor: _Cursor, ends: np.ndarray) -> RaggedArray:
    """Decode the varints between each position of the cursor and its end."""
    buffer, starts = cursor.buffer, cursor.positions
    cursor.require((starts == ends) | (buffer[ends - 1] < 0x80))
    marks = np.zeros(len(buffer) + 1, dtype=np.int8)
    marks[starts] += 1
    marks[ends] -= 1
    inside = np.cumsum(marks[:-1], dtype=np.int8).astype(bool)
    last_bytes = np.concatenate([[0], np.cumsum(inside & (buffer < 0x80))])
    offsets = np.concatenate([[0], np.cumsum(last_bytes[ends] - last_bytes[starts])])
    return RaggedArray(decode_varints(buffer[inside]), offsets)
