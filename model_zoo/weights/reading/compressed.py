"""Files that were compressed one by one: what is in them is told, and they are not unpacked.

Only tar.gz is read, as checkpoints are published so; the rest would double what a reader has to
defend against.
"""

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from model_zoo.weights.reading.contents import NamedFile
from model_zoo.weights.reading.pickles import WINDOW_BYTES, is_pickle

# bzip2 gives nothing before it has a block of 900 kB.
_READ_BYTES = 2**20
_LZMA_BYTES = 2**27
_BLOCK_BYTES = 512
_GZIP_WINDOW = 31  # zlib's number for a gzip stream

_Peek = Callable[[bytes], tuple[bytes, bool]]


def _gzip(data: bytes) -> tuple[bytes, bool]:
    inflate = zlib.decompressobj(_GZIP_WINDOW)
    return inflate.decompress(data, WINDOW_BYTES), inflate.eof


def _bzip2(data: bytes) -> tuple[bytes, bool]:
    unpack = bz2.BZ2Decompressor()
    return unpack.decompress(data, WINDOW_BYTES), unpack.eof


def _xz(data: bytes) -> tuple[bytes, bool]:
    unpack = lzma.LZMADecompressor(memlimit=_LZMA_BYTES)
    return unpack.decompress(data, WINDOW_BYTES), unpack.eof


def _nothing(data: bytes) -> tuple[bytes, bool]:
    return b"", False


@dataclass(frozen=True, slots=True)
class _Compression:
    """A way to compress one file: its name, its mark, what undoes it, and how names end."""

    name: str
    magic: bytes
    tool: str
    suffix: str
    peek: _Peek


_COMPRESSIONS = (
    _Compression("gzip", b"\x1f\x8b", "gunzip", ".gz", _gzip),
    _Compression("bzip2", b"BZh", "bunzip2", ".bz2", _bzip2),
    _Compression("xz", b"\xfd7zXZ\x00", "unxz", ".xz", _xz),
    _Compression("zstd", b"\x28\xb5\x2f\xfd", "unzstd", ".zst", _nothing),
)


def is_compressed_tar(file: NamedFile) -> bool:
    """Return whether a file is a gzip that holds a tar archive, or whose contents cannot be told.

    What is damaged or cut short counts too: unpacking it says so.
    """
    data = _read(file)
    if not data.startswith(b"\x1f\x8b"):
        return False
    head, ended = _peek(_COMPRESSIONS[0], data)
    if len(head) < _BLOCK_BYTES:
        return not head or not ended
    block = head[:_BLOCK_BYTES]
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return not any(block)  # the end of an empty archive
    return True


def describe(file: NamedFile) -> str | None:
    """Return what a compressed file is and what to do; None if it is not compressed."""
    data = _read(file)
    for compression in _COMPRESSIONS:
        if data.startswith(compression.magic):
            head, ended = _peek(compression, data)
            if head and is_pickle(head, is_whole=ended):
                return (
                    f"is a pickle compressed by {compression.name}, which runs code when it is "
                    "read: save it as safetensors"
                )
            name = file.name.removesuffix(compression.suffix)
            if name == file.name:
                name = "what comes out"
            return (
                f"is one file compressed by {compression.name}: {compression.tool} it, and give "
                f"{name}"
            )
    return None


def _read(file: NamedFile) -> bytes:
    with file.path.open("rb") as stream:
        return stream.read(_READ_BYTES)


def _peek(compression: _Compression, data: bytes) -> tuple[bytes, bool]:
    """Return the beginning of what was compressed, and whether that is all; nothing if damaged."""
    try:
        return compression.peek(data)
    except (zlib.error, lzma.LZMAError, OSError, ValueError):
        return b"", False
