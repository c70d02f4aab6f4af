"""NumPy's .npz: a zip of .npy arrays, checked by what it declares before any is decompressed."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import npy
from model_zoo.weights.reading.contents import (
    DTYPES,
    Contents,
    Limits,
    NamedFile,
    StoredTensor,
    check_name,
    check_tensors,
    refusing_damage,
)

_SUFFIX = ".npy"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40  # bits of an entry's flags: encrypted, and strongly so
# What an archive may grow to: deflate can give 1000:1, trained weights give 1.1:1, zeros any ratio.
_MAX_RATIO = 200
_FREE_BYTES = 10**6
# The directory is read whole: 256 bytes for each tensor are names of 200 characters on average.
_DIRECTORY_BYTES_PER_ENTRY = 256
_MIN_READ_BYTES = 2**17  # zipfile looks for the directory in the last 64 KiB
_CHUNK_BYTES = 2**20


def read_npz(file: NamedFile, limits: Limits) -> Contents:
    """Return the arrays of a .npz by their names; other entries are left out, and named.

    Raises: WeightsError if it is no such zip, is encrypted or compressed by another method than
    deflate, declares more than the limits or 200 times its own size, or has a pickled array.
    """
    where = file.name
    entries = zip_entries(file, limits)
    _check_entries(where, file.path.stat().st_size, entries, limits)
    with refusing_damage(where, "npz file"):
        # Kept open, and closed with the last of the tensors: each is read when it is needed.
        archive = zipfile.ZipFile(file.path)
        tensors = [
            _stored_tensor(where, archive, entry)
            for entry in entries
            if entry.filename.endswith(_SUFFIX)
        ]
    check_tensors(where, tensors, limits)
    left_out = [entry.filename for entry in entries if not entry.filename.endswith(_SUFFIX)]
    return Contents("npz", tensors, left_out)


def zip_entries(file: NamedFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the directory of a zip, which is read if it has no more than the limits allow.

    Raises: WeightsError if it has more, or is no whole zip.
    """
    directory_bytes = max(_MIN_READ_BYTES, _DIRECTORY_BYTES_PER_ENTRY * limits.max_tensors)
    with _BoundedFile(file, directory_bytes) as stream, refusing_damage(file.name, "npz file"):
        return zipfile.ZipFile(stream).infolist()


class _BoundedFile(io.FileIO):
    """A file that refuses to be read in large pieces.

    zipfile reads the directory, of any size that the file claims, in one piece, and makes an object
    of each entry before it can be asked how many there are.
    """

    def __init__(self, file: NamedFile, limit: int) -> None:
        super().__init__(file.path)
        self._where = file.name
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            position = self.tell()
            size = self.seek(0, io.SEEK_END) - position
            self.seek(position)
        if size > self._limit:
            raise WeightsError(
                f"{self._where} has a zip directory of {size} bytes; the limit is {self._limit}."
            )
        return super().read(size) or b""


def _check_entries(where: str, size: int, entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.max_tensors:
        raise WeightsError(
            f"{where} has {len(entries)} entries; the limit is {limits.max_tensors}."
        )
    for entry in entries:
        check_name(where, entry.filename)
        if entry.flag_bits & _ENCRYPTED:
            raise WeightsError(f"{where}: {entry.filename!r} is encrypted.")
        if entry.compress_type not in _METHODS:
            raise WeightsError(
                f"{where}: {entry.filename!r} is compressed by method {entry.compress_type}; "
                "entries are stored (0) or deflated (8)."
            )
    declared = sum(entry.file_size for entry in entries)
    if declared > limits.max_bytes:
        raise WeightsError(
            f"{where} declares {declared} bytes of arrays; the limit is {limits.max_bytes}."
        )
    if declared > max(_FREE_BYTES, _MAX_RATIO * size):
        raise WeightsError(
            f"{where} declares {declared} bytes in a file of {size}; the limit is {_MAX_RATIO} "
            f"times its size."
        )
    if sum(entry.compress_size for entry in entries) > size:
        raise WeightsError(f"{where} has entries that overlap.")


def _stored_tensor(where: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> StoredTensor:
    with archive.open(entry) as stream, _naming(where, entry):
        header = npy.read_header(stream, entry.file_size)
        if header.dtype.name not in DTYPES:
            dtype = str(header.dtype)[:100]
            raise ValueError(f"has dtype {dtype}; an array of weights holds numbers.")
    return StoredTensor(
        entry.filename.removesuffix(_SUFFIX),
        header.dtype.name,
        header.shape,
        partial(_read, where, archive, entry),
    )


def _read(where: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with refusing_damage(where, "npz file"), archive.open(entry) as stream, _naming(where, entry):
        header = npy.read_header(stream, entry.file_size)
        data = bytearray(header.content_bytes)
        filled = 0
        while piece := stream.read(_CHUNK_BYTES):
            # No more than declared comes: zipfile stops there, and then compares the checksum.
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
        if filled != header.content_bytes:
            raise ValueError(f"ends after {filled} of {header.content_bytes} bytes.")
        array = np.frombuffer(data, header.dtype)
        return npy.native(array.reshape(header.shape, order="F" if header.fortran_order else "C"))


@contextmanager
def _naming(where: str, entry: zipfile.ZipInfo) -> Iterator[None]:
    """Give an array's error its place; zipfile's own ValueErrors are raised as it opens."""
    try:
        yield
    except ValueError as error:
        raise WeightsError(f"{where}: {entry.filename!r} {error}") from error
