"""The files of a bucket as backups have them."""

import os
from pathlib import Path

from app.settings import Limit
from app.store.backup_files import CHECKPOINT_SUFFIX, CHECKPOINTS, FileRecord
from app.store.bucket import Bucket
from app.store.bucket_checkpoints import (
    BucketCheckpoints,
    read_record,
    record_key,
    stored_ids,
    tensors_key,
)
from app.store.calibrations import FOLDER as CALIBRATIONS
from app.store.calibrations import SUFFIX as CALIBRATION_SUFFIX
from app.store.local_copies import LocalCopies


class BucketFiles:
    """See `BackupFiles`."""

    def __init__(self, url: str, wait: Limit[float]) -> None:
        """Raises: StoreError if the URL names no bucket."""
        self._bucket = Bucket(url, wait)

    def checkpoints(self) -> set[str]:
        """See `BackupFiles`."""
        ids = stored_ids(self._bucket)
        return {f"{CHECKPOINTS}/{each}{CHECKPOINT_SUFFIX}" for each in ids}

    def exists(self, path: str) -> bool:
        """See `BackupFiles`."""
        is_checkpoint = path.startswith(f"{CHECKPOINTS}/")
        return self._bucket.find(record_key(Path(path).stem) if is_checkpoint else path) is not None

    def copy(self, path: str, target: Path) -> FileRecord:
        """See `BackupFiles`."""
        name = Path(path).stem
        key, sha256 = path, name
        if path.startswith(f"{CHECKPOINTS}/"):
            record = read_record(self._bucket, name)
            if record is None:
                raise FileNotFoundError(path)
            key, sha256 = tensors_key(name, record.sha256), record.sha256
        stored = self._bucket.find(key)
        if stored is None:
            raise FileNotFoundError(path)
        self._bucket.fetch(stored, target, sha256)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return FileRecord(stored.size, sha256)

    def take(self, folder: Path) -> None:
        """See `BackupFiles`: what the bucket has already stays as it is."""
        checkpoints = BucketCheckpoints(folder, self._bucket, LocalCopies((), 0))
        for path in sorted((folder / CHECKPOINTS).glob(f"*{CHECKPOINT_SUFFIX}")):
            checkpoints.add(path, path.stem)
        for path in sorted((folder / CALIBRATIONS).glob(f"*{CALIBRATION_SUFFIX}")):
            self._bucket.upload(f"{CALIBRATIONS}/{path.name}", path, path.stem)
