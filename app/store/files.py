"""Weight files in a folder, written when they are first requested.

A file's name consists of its build, the digest of its content and its format:
`<build>.<sha256><suffix>`. So the entity tag is known without reading the file, and there is no
second record that could disagree.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.store.contents import Content, FileContent
from app.store.errors import StoreError, disk_errors
from app.store.eviction import evict, sized
from model_zoo import remove_abandoned

FOLDER = "weights"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A complete weight file; `open` raises FileNotFoundError if it is gone."""

    sha256: str
    open: Callable[[], Content]


class WeightFiles:
    """A folder of weight files; above a number of bytes, the least recently used are evicted.

    Every file can be written again, so an eviction costs time but no data.
    """

    def __init__(self, home: Path, max_bytes: int) -> None:
        """Open the folder.

        Raises: StoreError if the folder cannot be written.
        """
        self.folder = home / FOLDER
        self._max_bytes = max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be written: {error.strerror}.") from error
        remove_abandoned(self.folder)

    def find(self, build_id: str, suffix: str) -> WeightFile | None:
        """Return the file of a build in a format, or None; mark the file as used."""
        for path in self.folder.glob(f"{build_id}.*{suffix}"):
            digest = path.name.removeprefix(f"{build_id}.").removesuffix(suffix)
            if "." in digest:
                continue  # of another format, whose suffix ends with this one
            with contextlib.suppress(OSError):  # another request may remove it now
                os.utime(path)
                return WeightFile(digest, partial(FileContent, path))
        return None

    def keep(self, build_id: str, suffix: str, path: Path, sha256: str) -> WeightFile:
        """Return a file that has been written in the folder; others may have to make room for it.

        Raises: StoreError if the disk reports an error.
        """
        self._prune(path)
        return WeightFile(sha256, partial(FileContent, path))

    def _prune(self, keep: Path) -> None:
        """Evict the least recently used files above the limit, but never `keep`.

        A response that is sending an evicted file still completes: an open file stays readable.
        """

        def remove(path: Path) -> bool:
            with disk_errors():
                path.unlink(missing_ok=True)
            return True

        evict(sized(self.folder.glob("*.*")), self._max_bytes, remove, keep)

    def remove(self, build_id: str) -> None:
        """Remove the files of a build.

        Raises: StoreError if the disk reports an error.
        """
        with disk_errors():
            for path in self.folder.glob(f"{build_id}.*"):
                path.unlink(missing_ok=True)
