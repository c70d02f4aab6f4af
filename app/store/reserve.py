"""Room on the disk that is kept so that things can be deleted when it is full.

SQLite writes what it deletes to its log first, so without room nothing could be deleted.
"""

import contextlib
import os
import shutil
from pathlib import Path

FILE_NAME = "reserve"
# More than the log of any deletion takes.
RESERVED_BYTES = 4 * 2**20


class Reserve:
    """A file that takes room, until that is needed."""

    def __init__(self, home: Path) -> None:
        """Keep the room, if the disk has it."""
        self._path = home / FILE_NAME
        self.keep()

    def keep(self) -> None:
        """Take the room again, if the disk has it and it is not kept yet."""
        try:
            with self._path.open("ab") as stream:
                if os.fstat(stream.fileno()).st_size < RESERVED_BYTES:
                    os.posix_fallocate(stream.fileno(), 0, RESERVED_BYTES)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def give(self) -> bool:
        """Give the room if the disk is about full; return whether it is."""
        try:
            is_full = shutil.disk_usage(self._path.parent).free < RESERVED_BYTES
            if is_full:
                self._path.unlink(missing_ok=True)
        except OSError:
            return False
        return is_full
