"""Imports the files of uploads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from app.serving.upload_room import Upload, UploadRoom
from app.settings import Settings
from model_zoo import Checkpoint, CheckpointStore, ImportLimits, NamedFile, import_checkpoint

# Each import uses one core, and as much memory as `import_memory_bytes` allows.
_IMPORTS_AT_ONCE = 2


class WeightImports:
    """Imports uploads into the store of checkpoints, which has room for them."""

    def __init__(
        self,
        settings: Settings,
        checkpoints: CheckpointStore,
        room: UploadRoom,
        check_home: Callable[[], None],
    ) -> None:
        self.room = room
        self._settings = settings
        self._checkpoints = checkpoints
        self._check_home = check_home
        self._slots = asyncio.Semaphore(_IMPORTS_AT_ONCE)

    def check_declared(self, upload: Upload) -> None:
        """Check that an upload can be kept if it is as large as it declares.

        Raises: ServiceError (store-full) if it does not fit; StoreError, also if ZOO_HOME is gone.
        """
        self._check_home()
        self.room.check_declared(upload)

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
