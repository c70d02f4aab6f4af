"""Where files are kept: in ZOO_HOME, or in a bucket that replicas share."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any, Protocol

from app.extras import extra
from app.settings import Settings
from app.store.calibrations import CalibrationFiles
from app.store.errors import StoreError
from app.store.files import WeightFiles
from model_zoo import CheckpointStore

Alone = Callable[[], AbstractContextManager[None]]


class FilePlace(Protocol):
    """Checkpoints, weight files and calibrations; the first three raise StoreError."""

    def checkpoints(self) -> CheckpointStore:
        """Return the imported checkpoints."""

    def weights(self) -> WeightFiles:
        """Return the weight files of builds."""

    def calibrations(self, is_used: Callable[[str], bool], alone: Alone) -> CalibrationFiles:
        """Return the calibrations; `is_used` tells whether a version has one.

        Inside `alone`, nobody else stores or removes a version.
        """

    def local(
        self, specs: Iterable[Mapping[str, Any]], calibration: str = ""
    ) -> AbstractAsyncContextManager[None]:
        """Keep in ZOO_HOME, inside the block, what a worker reads there to do builds of specs.

        Raises: WeightsError if a checkpoint does not exist any more; StoreError.
        """

    def why_lost(self) -> str | None:
        """Return why files cannot be stored or read now, if that is so; at once."""

    def close(self) -> None:
        """End what is still copied or stored; its callers get a StoreError."""


class FolderPlace:
    """ZOO_HOME alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def checkpoints(self) -> CheckpointStore:
        """See `FilePlace`."""
        try:
            return CheckpointStore(self._settings.home)
        except OSError as error:
            home = self._settings.home
            raise StoreError(f"{home} cannot be written: {error.strerror}.") from error

    def weights(self) -> WeightFiles:
        """See `FilePlace`."""
        return WeightFiles(self._settings.home, self._settings.max_files_bytes)

    def calibrations(self, is_used: Callable[[str], bool], alone: Alone) -> CalibrationFiles:
        """See `FilePlace`; one process has the folder, and knows what its requests hold."""
        return CalibrationFiles(self._settings.home, is_used)

    def local(
        self, specs: Iterable[Mapping[str, Any]], calibration: str = ""
    ) -> AbstractAsyncContextManager[None]:
        """See `FilePlace`: all files are there."""
        return nullcontext()

    def why_lost(self) -> str | None:
        """See `FilePlace`; the database tells whether ZOO_HOME is gone."""
        return None

    def close(self) -> None:
        """See `FilePlace`."""


def open_place(settings: Settings) -> FilePlace:
    """Return where the settings say that files are.

    Raises: StoreError if ZOO_FILES_URL cannot be used; SettingsError if obstore is not installed.
    """
    if not settings.files_url:
        return FolderPlace(settings)
    with extra("shared", "ZOO_FILES_URL"):
        from app.store.bucket_place import BucketPlace
    return BucketPlace(settings)
