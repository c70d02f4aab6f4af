"""Uploads of weights: checks that there is room, tracks progress, and imports the files."""

import asyncio
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

    def check_room(self) -> None:
        """Check that the uploads in progress fit in the store, beside the weights that it has.

        Raises: ServiceError (store-full) if they do not; StoreError if ZOO_HOME is gone.
        """
        self._check_home()
        limit, stored = self._settings.max_checkpoints_bytes, self._checkpoints.stored_bytes()
        incoming = sum(
            self._settings.max_upload_bytes if upload.size_bytes is None else upload.size_bytes
            for upload in self.uploads
        )
        if stored + incoming > limit:
            raise ServiceError(
                "store-full",
                f"{stored} bytes of weights are stored, and {incoming} are being uploaded; the "
                f"limit is {limit} ({variable('max_checkpoints_bytes')}). "
                "DELETE /v1/weights/{id} makes room.",
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
        return imported
