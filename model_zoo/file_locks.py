"""Locks that end with their process, however it ends: of unfinished files, and of a home."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from model_zoo.errors import ZooError

_UNFINISHED = "tmp-"
# Of the file of a lock: its holder's process id, which is only told.
_MAX_DIGITS = 20


class HomeInUseError(ZooError):
    """Another process holds the home."""


class HomeLock:
    """A home that this process holds until it closes the lock, or ends."""

    FILE_NAME = "lock"

    def __init__(self, home: Path) -> None:
        """Take the lock of a home, which is made when it is missing.

        Raises: HomeInUseError if another process holds it, OSError if it cannot be written.
        """
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / self.FILE_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, _MAX_DIGITS).decode("ascii", "replace").strip()
            os.close(descriptor)
            process = f"process {holder}" if holder.isdigit() else "another process"
            raise HomeInUseError(f"{home} is in use by {process}.") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        # A lock that nobody has any more is given back.
        self._end = weakref.finalize(self, os.close, descriptor)

    def close(self) -> None:
        """Give the home back."""
        self._end()


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for unfinished files in `parent`, and remove it at the end.

    If the process is killed, `remove_abandoned` removes it.
    """
    path, descriptor = _locked_folder(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            # Before it is locked, another process may take it for abandoned: then a new one.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return path, descriptor
            os.close(descriptor)


def remove_abandoned(parent: Path) -> None:
    """Remove the scratch folders in `parent` whose processes have ended."""
    for path in parent.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
