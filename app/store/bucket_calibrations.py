"""The rows that calibrate models in int8, in a bucket, as `calibrations/<sha256>.npy`.

What a request of this process holds, another process does not see, and may remove: the rows are
removed while nothing else is stored, and a request that has stored its version looks whether they
are still there.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from app.store.bucket import Bucket
from app.store.calibrations import (
    FOLDER,
    SUFFIX,
    Calibration,
    CalibrationFiles,
    CalibrationWriter,
)
from app.store.errors import StoreError, disk_errors
from app.store.local_copies import LocalCopies


def calibration_key(digest: str) -> str:
    """Return the key of the rows with a digest."""
    return f"{FOLDER}/{digest}{SUFFIX}"


class BucketCalibrations(CalibrationFiles):
    """The calibrations of a bucket; a folder has copies of some."""

    def __init__(
        self,
        home: Path,
        is_used: Callable[[str], bool],
        alone: Callable[[], AbstractContextManager[None]],
        bucket: Bucket,
        copies: LocalCopies,
    ) -> None:
        """`alone` lets nobody else store a version or remove one inside its block.

        Raises: StoreError if the folder cannot be written.
        """
        self._open(home, is_used)
        self._alone = alone
        self._bucket = bucket
        self._copies = copies
        self._storing = threading.Lock()

    def stored_bytes(self) -> int:
        """Return the size of all files, those that are being written here included.

        What services that died during a request have left is removed first.
        """
        total = 0
        for stored in self._bucket.objects(FOLDER):
            digest = Path(stored.key).stem
            if stored.is_abandoned() and not self._is_used(digest):
                self.remove_unused(digest)
            else:
                total += stored.size
        for path in self._folder.glob(f"*/*{SUFFIX}"):
            with disk_errors(), suppress(FileNotFoundError):  # stored meanwhile
                total += path.stat().st_size
        return total

    def keep(self, writer: CalibrationWriter) -> Calibration:
        """Store what was written, and hold it until `release`.

        Raises: StoreError; nothing is held then.
        """
        digest = writer.finish()
        self.hold(digest)
        try:
            with self._storing, disk_errors():
                self._store(digest, writer.path)
                writer.path.replace(self._path(digest))
        except BaseException:
            with self._lock:
                self._held[digest] -= 1
            raise
        self._copies.prune()
        return Calibration(digest, writer.rows)

    def release(self, digest: str) -> None:
        """Hold a file no longer; remove it if no version has it, else see that it is there.

        Raises: StoreError.
        """
        super().release(digest)
        if self._is_used(digest):
            with self._storing:
                self._store(digest, self._path(digest))

    def remove_unused(self, digest: str) -> None:
        """Remove a file unless a version has it, or a request of this process holds it.

        Raises: StoreError.
        """
        if self._held[digest] > 0 or self._is_used(digest):
            return
        with self._alone(), self._storing:
            if self._held[digest] <= 0 and not self._is_used(digest):
                with self._lock:
                    del self._held[digest]
                self._bucket.remove(calibration_key(digest))
                with disk_errors():
                    self._path(digest).unlink(missing_ok=True)

    def _store(self, digest: str, path: Path) -> None:
        """Store a file unless it is there.

        Raises: StoreError.
        """
        if self._bucket.find(calibration_key(digest)) is None:
            try:
                self._bucket.upload(calibration_key(digest), path, digest)
            except FileNotFoundError:
                raise StoreError(
                    "The calibration was removed during the request; send it again."
                ) from None
