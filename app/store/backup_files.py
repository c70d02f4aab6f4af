"""The files of a service as its backups have them: `checkpoints/<id>.safetensors` and calibrations.

They are in its home, or in the bucket of ZOO_FILES_URL.
"""

import hashlib
import os
from pathlib import Path
from typing import Protocol

import msgspec

from app.store.calibrations import FOLDER as CALIBRATIONS
from model_zoo import CheckpointStore

CHECKPOINTS = "checkpoints"
CHECKPOINT_SUFFIX = ".safetensors"
FOLDERS = (CHECKPOINTS, CALIBRATIONS)

_CHUNK_BYTES = 2**20


class FileRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A file of a backup."""

    bytes: int
    sha256: str


class BackupFiles(Protocol):
    """What a backup copies from, and what it is restored to."""

    def checkpoints(self) -> set[str]:
        """Return the paths of all checkpoints, those that no build needs included."""

    def exists(self, path: str) -> bool:
        """Return whether a file is there."""

    def copy(self, path: str, target: Path) -> FileRecord:
        """Copy a file to the disk, and return what was read.

        Raises: FileNotFoundError; OSError, or StoreError.
        """

    def take(self, folder: Path) -> None:
        """Take all files out of a folder that has them by their paths.

        Raises: OSError, or StoreError.
        """


class HomeFiles:
    """The files of a home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def checkpoints(self) -> set[str]:
        """See `BackupFiles`."""
        folder = CheckpointStore(self._home, make=False).folder
        return {f"{CHECKPOINTS}/{path.name}" for path in folder.glob(f"*{CHECKPOINT_SUFFIX}")}

    def exists(self, path: str) -> bool:
        """See `BackupFiles`."""
        return (self._home / path).exists()

    def copy(self, path: str, target: Path) -> FileRecord:
        """See `BackupFiles`."""
        return copy_file(self._home / path, target)

    def take(self, folder: Path) -> None:
        """See `BackupFiles`."""
        for name in FOLDERS:
            (folder / name).rename(self._home / name)


def copy_file(source: Path, target: Path) -> FileRecord:
    """Copy a file to the disk, and return what was read."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return FileRecord(size, digest.hexdigest())
