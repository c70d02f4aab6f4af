"""Copies of a bucket's files under ZOO_HOME, of which the least recently used make room.

Several processes may use one home: the locks are those of files, and end with their process.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from app.store.bucket import Bucket, StoredObject
from app.store.errors import disk_errors
from app.store.eviction import evict, sized
from model_zoo import remove_abandoned, scratch_folder


class LocalCopies:
    """The folders of a home that hold copies; all of them together have a limit."""

    def __init__(self, folders: tuple[Path, ...], max_bytes: int) -> None:
        """Open the folders, which are made when they are missing.

        Raises: StoreError if they cannot be written.
        """
        self._folders = folders
        self._max_bytes = max_bytes
        with disk_errors():
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
                remove_abandoned(folder)

    @contextlib.contextmanager
    def hold(self, path: Path) -> Iterator[bool]:
        """Keep a copy inside the block, and mark it as used; yield whether it is there."""
        try:
            descriptor = _locked(path, os.O_RDONLY, fcntl.LOCK_SH)
        except FileNotFoundError:
            yield False
            return
        try:
            with contextlib.suppress(FileNotFoundError):  # removed with its build
                os.utime(path)
            yield True
        finally:
            os.close(descriptor)

    def fetch(self, bucket: Bucket, stored: StoredObject, path: Path, sha256: str) -> None:
        """Copy an object, unless it is there already; one fetch of a file runs at a time.

        Raises: StoreError if the bucket or the disk fails, or the object is not the content with
        this digest.
        """
        with disk_errors(), _alone(path.with_name(f".{path.name}.lock")):
            if path.exists():
                return
            self.prune(stored.size)
            if shutil.disk_usage(path.parent).free < stored.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with scratch_folder(path.parent) as scratch:
                bucket.fetch(stored, scratch / path.name, sha256)
                (scratch / path.name).replace(path)

    def prune(self, incoming: int = 0) -> None:
        """Evict the least recently used copies above the limit, but none that is held."""
        paths = (path for folder in self._folders for path in folder.iterdir())
        evict(sized(paths), self._max_bytes - incoming, _removed)


def _removed(path: Path) -> bool:
    """Remove a copy that nobody holds; return whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one at a time into the block, by a file that is there meanwhile."""
    descriptor = _locked(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, flags: int, lock: int) -> int:
    """Return the descriptor of a file with a lock on it, once it is the one at its path.

    Raises: FileNotFoundError if there is none.
    """
    while True:
        descriptor = os.open(path, flags, 0o644)
        try:
            fcntl.flock(descriptor, lock)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
