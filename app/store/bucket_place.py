"""Files in the bucket of ZOO_FILES_URL, with copies of some under ZOO_HOME."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.store import bucket_checkpoints, calibrations, files
from app.store.bucket import Bucket
from app.store.bucket_calibrations import BucketCalibrations, calibration_key
from app.store.bucket_checkpoints import BucketCheckpoints
from app.store.bucket_weights import BucketWeights
from app.store.local_copies import LocalCopies
from app.store.sources import checkpoint_ids

log = logging.getLogger(__name__)

_FETCHES_AT_ONCE = 4
_FOLDERS = (bucket_checkpoints.FOLDER, calibrations.FOLDER, files.FOLDER)


class BucketPlace:
    """See `FilePlace`. The bucket decides what there is; every replica has a home of its own."""

    def __init__(self, settings: Settings) -> None:
        """Raises: StoreError if ZOO_FILES_URL names no bucket, or ZOO_HOME cannot be written."""
        self._own_home, self._home = settings.home, settings.files_home
        self._max_bytes = settings.max_files_bytes
        self._bucket = Bucket(settings.files_url or "", settings.files_wait)
        folders = tuple(self._home / name for name in _FOLDERS)
        self._copies = LocalCopies(folders, settings.max_files_bytes)
        self._checkpoints = BucketCheckpoints(self._home, self._bucket, self._copies)
        self._threads = ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="fetch")

    def checkpoints(self) -> BucketCheckpoints:
        """See `FilePlace`; it begins to be known whether the bucket answers."""
        if any((self._own_home / bucket_checkpoints.FOLDER).glob("*.safetensors")):
            log.warning(
                "ZOO_HOME has checkpoints of its own, which are not used: ZOO_FILES_URL is set. "
                "`model-zoo home backup` and `restore` move them to the bucket."
            )
        self._bucket.check()
        return self._checkpoints

    def weights(self) -> BucketWeights:
        """See `FilePlace`."""
        return BucketWeights(self._home, self._max_bytes, self._bucket, self._copies)

    def calibrations(
        self,
        is_used: Callable[[str], bool],
        alone: Callable[[], AbstractContextManager[None]],
    ) -> BucketCalibrations:
        """See `FilePlace`."""
        return BucketCalibrations(self._home, is_used, alone, self._bucket, self._copies)

    def why_lost(self) -> str | None:
        """See `FilePlace`: what the last request to the bucket said."""
        return self._bucket.why_lost()

    def close(self) -> None:
        """See `FilePlace`."""
        self._bucket.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def local(
        self, specs: Iterable[Mapping[str, Any]], calibration: str = ""
    ) -> AsyncIterator[None]:
        """See `FilePlace`."""
        ids = {each for spec in specs for each in checkpoint_ids(spec)}
        if not ids and not calibration:
            yield
            return
        fetching = self._threads.submit(self._fetch, ids, calibration)
        try:
            held = await asyncio.shield(asyncio.wrap_future(fetching))
        except asyncio.CancelledError:
            fetching.add_done_callback(_release)
            raise
        with held:
            yield

    def _fetch(self, ids: Iterable[str], calibration: str) -> ExitStack:
        """Copy files that are not there; return what holds them all until it is closed."""
        with ExitStack() as held:
            for checkpoint_id in ids:
                path = self._checkpoints.path(checkpoint_id)
                self._hold(held, path, functools.partial(self._checkpoints.copy, checkpoint_id))
            if calibration:
                path = self._home / calibration_key(calibration)
                self._hold(held, path, functools.partial(self._copy_rows, calibration, path))
            return held.pop_all()

    def _hold(self, held: ExitStack, path: Path, copy: Callable[[], bool]) -> None:
        # A copy may have to make room for others before it is held.
        while not held.enter_context(self._copies.hold(path)):
            if not copy():
                return

    def _copy_rows(self, digest: str, path: Path) -> bool:
        """Copy a calibration; return whether there is one. If not, the worker says so."""
        stored = self._bucket.find(calibration_key(digest))
        if stored is not None:
            self._copies.fetch(self._bucket, stored, path, digest)
        return stored is not None


def _release(fetching: "Future[ExitStack]") -> None:
    if not fetching.cancelled() and fetching.exception() is None:
        fetching.result().close()
