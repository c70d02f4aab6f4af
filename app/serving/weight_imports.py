"""Uploads of weights: how many bytes may come, which are under way, and what becomes of them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from app.errors import ServiceError
from app.settings import Settings, variable
from model_zoo import Checkpoint, CheckpointStore, ImportLimits, NamedFile, import_checkpoint

# Each reads its upload with one core and the memory that a setting allows.
_IMPORTS_AT_ONCE = 2


UploadState = Literal["receiving", "reading"]


@dataclass(slots=True)
class Upload:
    """An upload in progress; its id is that of the request."""

    id: str
    size_bytes: int | None
    received_bytes: int = 0
    state: UploadState = "receiving"


class WeightImports:
    """Imports uploads into the store of checkpoints."""

    def __init__(self, settings: Settings, checkpoints: CheckpointStore) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        # By identity: clients choose their requests' ids, and may choose one twice.
        self._uploads: dict[int, Upload] = {}
        self._slots = asyncio.Semaphore(_IMPORTS_AT_ONCE)

    @property
    def uploads(self) -> list[Upload]:
        """The uploads in progress."""
        return list(self._uploads.values())

    @contextmanager
    def receiving(self, upload: Upload) -> Iterator[None]:
        """Count an upload as in progress."""
        self._uploads[id(upload)] = upload
        try:
            yield
        finally:
            del self._uploads[id(upload)]

    def check_room(self) -> None:
        """Refuse an upload if it, and those that still come, would not fit beside what is kept.

        Raises: ServiceError (store-full)
        """
        limit, kept = self._settings.max_checkpoints_bytes, self._checkpoints.stored_bytes()
        coming = sum(
            self._settings.max_upload_bytes if upload.size_bytes is None else upload.size_bytes
            for upload in self.uploads
        )
        if kept + coming > limit:
            raise ServiceError(
                "store-full",
                f"{kept} bytes of weights are kept, and {coming} are to come; the limit is {limit} "
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

        Raises: WeightsError for what is not weights, or beyond the limits; OSError.
        """
        upload.state = "reading"
        async with self._slots:
            return await asyncio.to_thread(self._import, files, digests, member)

    def _import(
        self, files: Sequence[NamedFile], digests: Mapping[str, str], member: str | None
    ) -> tuple[Checkpoint, bool]:
        settings = self._settings
        # A compressed file may hold more than was received.
        room = settings.max_checkpoints_bytes - self._checkpoints.stored_bytes()
        limits = ImportLimits(
            max_bytes=max(0, min(settings.max_import_bytes, room)),
            max_tensors=settings.max_import_tensors,
            memory_bytes=settings.import_memory_bytes,
            seconds=settings.import_timeout_s,
        )
        return import_checkpoint(
            self._checkpoints, files, digests=digests, member=member, limits=limits
        )
