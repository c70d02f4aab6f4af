"""Messages between the API and the worker: a small JSON header, then raw buffers.

No pickle: what decodes images must not be able to run code in the other process.
"""

import asyncio
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

from app.arrays import Buffer

_LENGTH = struct.Struct(">I")


class Frame(NamedTuple):
    """One message."""

    header: Mapping[str, Any]
    buffers: Sequence[Buffer] = ()


def encode(frame: Frame) -> list[Buffer]:
    """Return the pieces to write; buffers are not copied."""
    header = {**frame.header, "buffers": [len(buffer) for buffer in frame.buffers]}
    text = json.dumps(header).encode()
    return [_LENGTH.pack(len(text)) + text, *frame.buffers]


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Read one message.

    Raises: asyncio.IncompleteReadError where the other side is gone.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    header = json.loads(await reader.readexactly(length))
    return Frame(header, [await reader.readexactly(size) for size in header.pop("buffers")])


def read_frame_blocking(stream: BinaryIO) -> Frame:
    """Read one message.

    Raises: EOFError where the other side is gone.
    """
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    header = json.loads(_read_exactly(stream, length))
    return Frame(header, [_read_exactly(stream, size) for size in header.pop("buffers")])


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
