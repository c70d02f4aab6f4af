"""Uploads of weights: reserves room, tracks progress, and imports the files."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from app.errors import ServiceError
from app.settings import Settings, variable
from model_zoo import Checkpoint, CheckpointStore, ImportLimits, NamedFile, import_checkpoint

# Each import uses one core, and as much memory as `import_memory_bytes` allows.
_IMPORTS_AT_ONCE = 2


UploadState = Literal["receiving", "reading"]


@dataclass(slots=True)
class Upload:
    """An upload in progress; its id is the id of the request."""

    id: str
    size_bytes: int | None
    received_bytes: int = 0
    reserved_bytes: int = 0  # of the store's room
    state: UploadState = "receiving"


class WeightImports:
    """Imports uploads into the store of checkpoints."""

    def __init__(
        self, settings: Settings, checkpoints: CheckpointStore, check_home: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        self._check_home = check_home
        # By identity, because clients choose the ids of requests and may use one twice.
        self._uploads: dict[int, Upload] = {}
        self._slots = asyncio.Semaphore(_IMPORTS_AT_ONCE)
        self._reserving = threading.Lock()
        # Counted for the first upload, and again when there is no room.
        self._stored_bytes: int | None = None

    @property
    def uploads(self) -> list[Upload]:
        """The uploads in progress."""
        return list(self._uploads.values())

    @contextmanager
    def receiving(self, upload: Upload) -> Iterator[None]:
        """Track an upload as in progress."""
        self._uploads[id(upload)] = upload
        try:
            yield
        finally:
            del self._uploads[id(upload)]

    def check_declared(self, upload: Upload) -> None:
        """Check that an upload fits in the store if it is as large as it declares.

        A declared size reserves nothing: it would lock out others at no cost.
        Raises: ServiceError (store-full) if it does not fit; StoreError if ZOO_HOME is gone.
        """
        self._check_home()
        with self._reserving:
            self._check_room(upload.size_bytes or 0)

    def reserve(self, upload: Upload, size: int) -> None:
        """Reserve room in the store for bytes that arrived.

        Raises: ServiceError (store-full) if there is none; the upload then reserves nothing.
        """
        with self._reserving:
            try:
                self._check_room(size)
            except ServiceError:
                upload.reserved_bytes = 0  # two that meet at the limit do not both have to go
                raise
            upload.reserved_bytes += size

    def _check_room(self, size: int) -> None:
        limit = self._settings.max_checkpoints_bytes
        incoming = sum(upload.reserved_bytes for upload in self.uploads)
        if self._stored_bytes is not None and self._stored_bytes + incoming + size <= limit:
            return
        # Some may have been removed since they were counted.
        self._stored_bytes = self._checkpoints.stored_bytes()
        if self._stored_bytes + incoming + size > limit:
            raise ServiceError(
                "store-full",
                f"{self._stored_bytes} bytes of weights are stored, {incoming} of uploads in "
                f"progress have arrived, and {size} more do not fit; the limit is {limit} "
                f"({variable('max_checkpoints_bytes')}). DELETE /v1/weights/{{id}} makes room.",
            )

    async def read(
        self,
        upload: Upload,
        files: Sequence[NamedFile],
        digests: Mapping[str, str],
        member: str | None,
    ) -> tuple[Checkpoint, bool]:
        """Import received files; return the checkpoint, and whether it is new.

        Raises: WeightsError if the files are not weights or exceed the limits; OSError; StoreError
        if ZOO_HOME is gone.
        """
        upload.state = "reading"
        async with self._slots:
            return await asyncio.to_thread(self._import, files, digests, member)

    def _import(
        self, files: Sequence[NamedFile], digests: Mapping[str, str], member: str | None
    ) -> tuple[Checkpoint, bool]:
        settings = self._settings
        # A compressed upload may unpack to more bytes than were received.
        room = settings.max_checkpoints_bytes - self._checkpoints.stored_bytes()
        limits = ImportLimits(
            max_bytes=max(0, min(settings.max_import_bytes, room)),
            max_tensors=settings.max_import_tensors,
            memory_bytes=settings.import_memory_bytes,
            seconds=settings.import_timeout_s,
        )
        imported = import_checkpoint(
            self._checkpoints, files, digests=digests, member=member, limits=limits
        )
        self._check_home()  # before it is acknowledged
        self._stored_bytes = self._checkpoints.stored_bytes()
        return imported
