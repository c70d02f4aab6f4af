"""The room for uploads in the store of checkpoints, which replicas that share a bucket divide."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from app.errors import ServiceError
from app.settings import Settings, variable
from app.store.errors import StoreError
from app.store.uploads import Receiving, UploadProgress, UploadState, UploadStore
from model_zoo import CheckpointStore

# Of the limit; claimed ahead of what arrives, so that the store is not counted for each piece.
_AHEAD = 1 / 256
# By which other replicas know that this one is there, and how far its uploads are.
_ANNOUNCED_EVERY_S = 1.0


@dataclass(slots=True)
class Upload:
    """An upload in progress; its id is the id of the request."""

    id: str
    size_bytes: int | None
    received_bytes: int = 0
    reserved_bytes: int = 0  # of the store's room
    state: UploadState = "receiving"

    @property
    def progress(self) -> UploadProgress:
        """What others may know of it."""
        return UploadProgress(self.id, self.size_bytes, self.received_bytes, self.state)


class UploadRoom:
    """Reserves room for what arrives.

    Of several replicas, each claims room before it counts what there is: of two that claim the last
    at once, one at least sees the other. A claim ends after what it was for is in the store.
    """

    def __init__(
        self, settings: Settings, checkpoints: CheckpointStore, shared: UploadStore | None
    ) -> None:
        """Without what is shared, nobody else stores uploads where this process does."""
        self._limit_bytes = settings.max_checkpoints_bytes
        self._ahead_bytes = int(_AHEAD * self._limit_bytes)
        self._checkpoints = checkpoints
        self._shared = shared
        # By identity, because clients choose the ids of requests and may use one twice.
        self._uploads: dict[int, Upload] = {}
        self._claimed_bytes = 0
        # An upload has ended: the store may have grown by it.
        self._has_ended = False
        self._reserving = threading.Lock()
        self._announcing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def receiving(self, upload: Upload) -> Iterator[None]:
        """Track an upload as in progress."""
        self._uploads[id(upload)] = upload
        if self._shared is not None and (self._announcing is None or self._announcing.done()):
            self._announcing = asyncio.create_task(self._announce(self._shared))
        try:
            yield
        finally:
            del self._uploads[id(upload)]
            self._has_ended = True

    def uploads(self) -> list[UploadProgress]:
        """Return the uploads in progress, those of other replicas last.

        Raises: StoreError.
        """
        others = (upload for other in self._others() for upload in other.uploads)
        return [*self._own(), *others]

    def check_declared(self, upload: Upload) -> None:
        """Check that an upload fits in the store if it is as large as it declares.

        A declared size reserves nothing: it would lock out others at no cost.
        Raises: ServiceError (store-full) if it does not fit; StoreError.
        """
        self._left_bytes(upload.size_bytes or 0)

    def reserve(self, upload: Upload, size: int) -> None:
        """Reserve room in the store for bytes that arrived.

        Raises: ServiceError (store-full) if there is none; the upload then reserves nothing.
        StoreError.
        """
        with self._reserving:
            try:
                self._check_room(size)
            except ServiceError:
                upload.reserved_bytes = 0  # two that meet at the limit do not both have to go
                raise
            upload.reserved_bytes += size

    def _check_room(self, size: int) -> None:
        needed = self._reserved_bytes() + size
        if needed <= self._claimed_bytes and not self._has_ended:
            return
        self._has_ended = False  # before the count, which may miss one that ends meanwhile
        try:
            self._claim(needed + self._ahead_bytes)
            left = self._left_bytes(size)
        except Exception:
            self._claimed_bytes = needed - size  # of which the others hear soon
            raise
        if left < self._ahead_bytes:
            self._claim(needed + left)

    def _left_bytes(self, size: int) -> int:
        """Return the room that is left beside a number of bytes more.

        Raises: ServiceError (store-full) if they do not fit; StoreError.
        """
        # In this order: what leaves a claim is stored before.
        incoming = self._reserved_bytes() + sum(other.claimed_bytes for other in self._others())
        stored = self._checkpoints.stored_bytes()
        left = self._limit_bytes - stored - incoming - size
        if left < 0:
            raise ServiceError(
                "store-full",
                f"{stored} bytes of weights are stored, uploads in progress take {incoming}, and "
                f"{size} more do not fit; the limit is {self._limit_bytes} "
                f"({variable('max_checkpoints_bytes')}). DELETE /v1/weights/{{id}} makes room.",
            )
        return left

    def _reserved_bytes(self) -> int:
        return sum(upload.reserved_bytes for upload in list(self._uploads.values()))

    def _own(self) -> list[UploadProgress]:
        return [upload.progress for upload in list(self._uploads.values())]

    def _others(self) -> list[Receiving]:
        return [] if self._shared is None else self._shared.others()

    def _claim(self, size: int) -> None:
        """Claim a number of bytes in all, and let the other replicas know."""
        self._claimed_bytes = size
        if self._shared is not None:
            self._shared.put(Receiving(self._own(), size))

    async def _announce(self, shared: UploadStore) -> None:
        """Let the other replicas know of the uploads while there are any, and of their end."""
        has_uploads = True
        while has_uploads or self._uploads:
            has_uploads = bool(self._uploads)
            with contextlib.suppress(StoreError):  # of which the database has said what is wrong
                await shared.write(self._claim_again)
            if has_uploads:
                await asyncio.sleep(_ANNOUNCED_EVERY_S)

    def _claim_again(self) -> None:
        with self._reserving:
            self._claim(min(self._claimed_bytes, self._reserved_bytes() + self._ahead_bytes))
