"""Writes and reads TFRecord files of integer sequences, without TensorFlow.

A TFRecord file is a chain of frames: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data.
The data of each frame is a `tf.train.Example`, a protocol buffer that maps a column's name to its packed varints:

    Example.features > Features.feature (one map entry per column) > key, Feature.int64_list > Int64List.value

Columns are written in the order of their names. Therefore equal examples give equal bytes, and all frames of a file
have the same layout, which allows numpy to decode the frames of a block together instead of one by one.

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
from src.dataset.records.varints import decode_varints, encode_varints

_MAX_FRAME_BYTES = 1 << 26
# The first byte of a protocol buffer field: its number and, in the low three bits, 2 for "length and bytes".
FIELD_1, FIELD_2, FIELD_3 = b"\x0a", b"\x12", b"\x1a"


class Frames(NamedTuple):
    """The bytes of several frames, end to end."""

    data: bytes
    offsets: np.ndarray  # [n + 1] int64: frame i is data[offsets[i] : offsets[i + 1]]


def encode_frames(columns: Mapping[str, RaggedArray]) -> Frames:
    """Encode one frame per example; example i consists of sequence i of each column.

    Raises:
        ValueError: an id is negative.
    """
    entries = [_encode_column(name, columns[name]) for name in sorted(columns)]
    frames = []
    for parts in zip(*entries, strict=True):
        features = b"".join(parts)
        data = FIELD_1 + _varint(len(features)) + features
        frames.append(_frame_header(len(data)) + data + struct.pack("<I", _masked_crc(data)))
    return Frames(b"".join(frames), np.concatenate([[0], np.cumsum([len(frame) for frame in frames], dtype=np.int64)]))


class TFRecordWriter:
    """Writes frames into n files: example i into file i mod n."""

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
    """Yield the examples of a file that `TFRecordWriter` wrote, in blocks of `block_size` (the last may be smaller).

    Raises:
        MassError: a frame is incomplete, fails its checksum or has another layout; the message names file and record.
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


def _encode_column(name: str, sequences: RaggedArray) -> list[bytes]:
    """Return the map entry of each sequence: the name of the column and the packed ids."""
    encoded, sizes = encode_varints(sequences.values)
    byte_ends = np.concatenate([[0], np.cumsum(sizes)])[sequences.offsets[1:]].tolist()
    packed, start, entries = encoded.tobytes(), 0, []
    for end in byte_ends:
        entries.append(_entry_header(name, end - start) + packed[start:end])
        start = end
    return entries


@lru_cache(maxsize=4096)
def _entry_header(name: str, size: int) -> bytes:
    """Return everything before the `size` bytes of packed ids in the map entry of column `name`."""
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
    """Return the CRC-32C, rotated and shifted as TFRecord requires, because the data may hold CRCs itself."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_frames(stream: BinaryIO, path: str) -> Iterator[bytes]:
    """Yield the data of each frame after checking its checksums."""
    number = 0

    def damage(what: str) -> MassError:
        return MassError(f"{path}: record {number} {what}; make the file again")

    while header := stream.read(12):
        number += 1
        if len(header) < 12:
            raise damage("is truncated: the file is incomplete")
        size = int.from_bytes(header[:8], "little")
        if header != _frame_header(size):
            raise damage("is damaged: the checksum of its length does not match")
        if size > _MAX_FRAME_BYTES:
            raise damage(f"has a length of {size} bytes, which this program never writes")
        data, checksum = stream.read(size), stream.read(4)
        if len(checksum) < 4:
            raise damage("is truncated: the file is incomplete")
        if checksum != struct.pack("<I", _masked_crc(data)):
            raise damage("is damaged: the checksum of its data does not match")
        yield data


class _LayoutError(Exception):
    """A frame does not have the expected layout; `row` is its number in the block."""

    def __init__(self, row: int):
        super().__init__(row)
        self.row = row


class _Cursor:
    """Reads the frames of a block in parallel: there is one position per frame, and each call moves all of them."""

    def __init__(self, buffer: np.ndarray, positions: np.ndarray):
        self.buffer = buffer  # [total] uint8
        self.positions = positions  # [n]

    def require(self, good: np.ndarray) -> None:
        """Raise a _LayoutError for the first frame for which `good`, [n] bool, does not hold."""
        if not good.all():
            raise _LayoutError(int(np.argmin(good)))

    def byte(self) -> np.ndarray:
        """Read the next byte of each frame, [n] uint8."""
        found = self.buffer.take(self.positions, mode="clip")
        self.positions = self.positions + 1
        return found

    def expect(self, literal: bytes) -> None:
        """Read these bytes; raise a _LayoutError if a frame has others."""
        for byte in literal:
            self.require(self.byte() == byte)

    def end_of_field(self) -> np.ndarray:
        """Read the length of a field, of at most five bytes, and return where the field ends in each frame, [n]."""
        length, more = np.zeros(len(self.positions), np.int64), np.ones(len(self.positions), bool)
        for shift in range(0, 35, 7):
            found = np.where(more, self.buffer.take(self.positions, mode="clip"), 0)
            self.positions = self.positions + more
            length |= (found & 0x7F).astype(np.int64) << shift
            more = found >= 0x80
        self.require(~more)
        return self.positions + length


def _decode_block(frames: list[bytes], columns: list[str]) -> dict[str, RaggedArray]:
    """Decode the frames of a block, each of which is an Example with exactly these columns."""
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
    """Decode the varints from the position of the cursor to the end of the field, in each frame."""
    buffer, starts = cursor.buffer, cursor.positions
    cursor.require((starts == ends) | (buffer[ends - 1] < 0x80))
    marks = np.zeros(len(buffer) + 1, dtype=np.int8)
    marks[starts] += 1
    marks[ends] -= 1
    inside = np.cumsum(marks[:-1], dtype=np.int8).astype(bool)
    last_bytes = np.concatenate([[0], np.cumsum(inside & (buffer < 0x80))])
    offsets = np.concatenate([[0], np.cumsum(last_bytes[ends] - last_bytes[starts])])
    return RaggedArray(decode_varints(buffer[inside]), offsets)
