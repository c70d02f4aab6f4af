"""Weight files in a bucket, as `weights/<build>/<sha256><suffix>`; a folder has copies of some."""

import hashlib
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from app.store.bucket import Bucket, DamagedError, StoredObject, check_digest
from app.store.errors import StoreError
from app.store.eviction import SizedFile, evict
from app.store.files import FOLDER, WeightFile, WeightFiles
from app.store.local_copies import LocalCopies
from app.store.threads import on_files

log = logging.getLogger(__name__)

# What a download holds in memory: there may be hundreds.
_PIECE_BYTES = 2**20


class BucketContent:
    """A weight file of a bucket, read as its client takes it.

    The end of a whole file is sent only if all of it has the right digest.
    """

    def __init__(self, bucket: Bucket, stored: StoredObject, sha256: str) -> None:
        self.size = stored.size
        self._bucket = bucket
        self._stored = stored
        self._sha256 = sha256

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """See `Content.chunks`."""
        pieces = self._pieces(start, stop)
        while (piece := await on_files(next, pieces, b"")) != b"":
            yield piece

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        digest, last = hashlib.sha256(), b""
        for piece in self._bucket.pieces(self._stored, start, stop, _PIECE_BYTES):
            digest.update(piece)
            if last:
                yield last
            last = piece
        if stop - start == self.size:
            try:
                check_digest(self._stored.key, digest.hexdigest(), self._sha256)
            except DamagedError as error:
                log.error("%s It is removed, and made again by the next request.", error)
                self._bucket.remove(self._stored.key)
                raise
        if last:
            yield last

    def close(self) -> None:
        """See `Content.close`."""


class BucketWeights(WeightFiles):
    """The weight files of a bucket; above a number of bytes, the oldest are evicted."""

    def __init__(self, home: Path, max_bytes: int, bucket: Bucket, copies: LocalCopies) -> None:
        """Raises: StoreError if the folder cannot be written."""
        super().__init__(home, max_bytes)
        self._bucket = bucket
        self._copies = copies

    def find(self, build_id: str, suffix: str) -> WeightFile | None:
        """Return the file of a build in a format, or None: a copy if there is one.

        Raises: StoreError.
        """
        return super().find(build_id, suffix) or self._find_stored(build_id, suffix)

    def _find_stored(self, build_id: str, suffix: str) -> WeightFile | None:
        for stored in self._bucket.objects(f"{FOLDER}/{build_id}"):
            digest, dot, rest = stored.key.rpartition("/")[2].partition(".")
            if dot + rest == suffix:
                return WeightFile(digest, partial(BucketContent, self._bucket, stored, digest))
        return None

    def keep(self, build_id: str, suffix: str, path: Path, sha256: str) -> WeightFile:
        """Store a file that has been written in the folder, and return it.

        One that was written on another machine was stored there, by the same method.
        Raises: StoreError.
        """
        key = f"{FOLDER}/{build_id}/{sha256}{suffix}"
        try:
            with self._copies.hold(path) as is_here:
                if is_here and not self._has(key, path.stat().st_size):
                    self._bucket.upload(key, path, sha256)
        except FileNotFoundError:
            is_here = False
        self._copies.prune()
        file = super().find(build_id, suffix) or self._find_stored(build_id, suffix)
        if file is None:
            raise StoreError("The file was removed during the request; try again.")
        if is_here:
            self._evict(key)
        return file

    def _has(self, key: str, size: int) -> bool:
        """Return whether the bucket has a file: to store it again would disturb its downloads."""
        stored = self._bucket.find(key)
        return stored is not None and stored.size == size

    def _evict(self, keep: str) -> None:
        def remove(key: str) -> bool:
            self._bucket.remove(key)
            return True

        stored = self._bucket.objects(FOLDER)
        files = (SizedFile(each.key, each.modified.timestamp(), each.size) for each in stored)
        evict(files, self._max_bytes, remove, keep)

    def remove(self, build_id: str) -> None:
        """Remove the files of a build.

        Raises: StoreError.
        """
        super().remove(build_id)
        for stored in self._bucket.objects(f"{FOLDER}/{build_id}"):
            self._bucket.remove(stored.key)
