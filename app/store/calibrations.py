"""The rows that calibrate models in int8, as files in a folder.

A file is named after the digest of its content, `<sha256>.npy`: rows of float32, as the network
takes them. Versions that were sent the same rows share it.
"""

import hashlib
import math
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.lib import format as npy

from app.arrays import Array, Buffer, RowShape
from app.store.errors import StoreError, disk_errors
from model_zoo import remove_abandoned, scratch_folder

FOLDER = "calibrations"
SUFFIX = ".npy"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The rows that calibrate a version in int8: the digest of their file, and how many."""

    digest: str
    rows: int


class CalibrationRows(Sequence[Array]):
    """The rows of a file, each read when it is needed; they stay readable if the file is removed.

    Shape of each: (*row,)
    """

    def __init__(self, home: Path, digest: str) -> None:
        """Raises: FileNotFoundError if there is no such file."""
        with (home / FOLDER / f"{digest}{SUFFIX}").open("rb") as stream:
            assert npy.read_magic(stream) == (1, 0)
            (self._count, *self._shape), _, _ = npy.read_array_header_1_0(stream)
            self._start = stream.tell()
            self._file = os.dup(stream.fileno())
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return int(self._count)

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        size = 4 * math.prod(self._shape)
        data = os.pread(self._file, size, self._start + index * size)
        return np.frombuffer(data, np.float32).reshape(self._shape)


class CalibrationWriter:
    """Writes rows of one shape to a file, as they come."""

    def __init__(self, path: Path, shape: RowShape) -> None:
        """Raises: StoreError, as the other methods do, if the disk reports an error."""
        self.path = path
        self.rows = 0
        self._shape = shape
        self._distinct: set[bytes] = set()
        with disk_errors():
            self._stream = path.open("w+b")
            self._write_header()

    def add(self, data: Buffer, rows: int) -> None:
        """Write rows of float32."""
        with disk_errors():
            self._stream.write(data)
        self.rows += rows
        view = memoryview(data).cast("B")
        size = len(view) // rows
        for start in range(0, len(view), size):
            self._distinct.add(hashlib.sha256(view[start : start + size]).digest())

    @property
    def repeated(self) -> int:
        """How many of the rows are equal to one before them."""
        return self.rows - len(self._distinct)

    def finish(self) -> str:
        """Put the number of rows into the header, which has room for it; return the digest."""
        with disk_errors():
            self._stream.seek(0)
            self._write_header()
            self._stream.seek(0)
            digest = hashlib.file_digest(self._stream, "sha256").hexdigest()
            os.fsync(self._stream.fileno())
        return digest

    def close(self) -> None:
        """Close the file."""
        with disk_errors():
            self._stream.close()

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.rows, *self._shape)}
        npy.write_array_header_1_0(self._stream, header)


class CalibrationFiles:
    """The files of a home; those that neither a version nor a request needs are removed."""

    def __init__(self, home: Path, is_used: Callable[[str], bool]) -> None:
        """Open the folder; `is_used` tells whether a version has the rows with a digest.

        Raises: StoreError if the folder cannot be written.
        """
        self._open(home, is_used)
        for path in self._folder.glob(f"*{SUFFIX}"):  # of a version that was never stored
            self.remove_unused(path.stem)

    def _open(self, home: Path, is_used: Callable[[str], bool]) -> None:
        self._folder = home / FOLDER
        self._is_used = is_used
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}.") from error
        remove_abandoned(self._folder)

    def stored_bytes(self) -> int:
        """Return the size of all files, those that are being written included."""
        total = 0
        for path in self._folder.rglob(f"*{SUFFIX}"):
            with disk_errors(), suppress(FileNotFoundError):  # removed meanwhile
                total += path.stat().st_size
        return total

    @contextmanager
    def writing(self, shape: RowShape) -> Iterator[CalibrationWriter]:
        """Write a file of rows; nothing is left of one that is not kept inside."""
        with (
            scratch_folder(self._folder) as scratch,
            closing(CalibrationWriter(scratch / f"rows{SUFFIX}", shape)) as writer,
        ):
            yield writer

    def keep(self, writer: CalibrationWriter) -> Calibration:
        """Keep what was written, and hold it until `release`."""
        digest = writer.finish()
        with self._lock, disk_errors():
            writer.path.replace(self._path(digest))
            self._held[digest] += 1
        return Calibration(digest, writer.rows)

    def hold(self, digest: str) -> None:
        """Hold a file until `release`."""
        with self._lock:
            self._held[digest] += 1

    def release(self, digest: str) -> None:
        """Hold a file no longer, and remove it if no version has it."""
        with self._lock:
            self._held[digest] -= 1
        self.remove_unused(digest)

    def remove_unused(self, digest: str) -> None:
        """Remove a file unless a version has it, or a request holds it.

        Raises: StoreError if the disk reports an error.
        """
        with self._lock, disk_errors():
            if self._held[digest] <= 0 and not self._is_used(digest):
                del self._held[digest]
                self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{SUFFIX}"
