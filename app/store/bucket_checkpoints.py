"""Imported checkpoints in a bucket: a record of each, and its tensors, which are copied when read.

`checkpoints/<id>/record.json` is written last and removed first: it decides whether there is a
checkpoint. The tensors are in `checkpoints/<id>/<sha256>.safetensors`.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from app.store.bucket import Bucket, DamagedError, StoredObject
from app.store.errors import StoreError
from app.store.local_copies import LocalCopies
from model_zoo import Checkpoint, CheckpointDocument, CheckpointStore, TensorInfo, WeightsError

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
_RECORD = "record.json"
_RECORDS_AT_ONCE = 8


class Record(msgspec.Struct, frozen=True):
    """What the bucket says of a checkpoint, its tensors, and the digest of the file of these."""

    document: CheckpointDocument
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    sha256: str


@dataclass(frozen=True)
class BucketCheckpoint(Checkpoint):
    """A checkpoint whose tensors are copied when the first is read."""

    step: int | None
    copy: Callable[[], object]

    @property
    def global_step(self) -> int | None:
        """The training step that it was saved at; None if it does not record one."""
        return self.step

    @cached_property
    def _file(self) -> Any:
        self.copy()
        return super()._file


class BucketCheckpoints(CheckpointStore):
    """The checkpoints of a bucket. What is copied or imported lies in a folder under a home."""

    def __init__(self, home: Path, bucket: Bucket, copies: LocalCopies) -> None:
        """Raises: OSError if the folder cannot be made."""
        super().__init__(home)
        self._bucket = bucket
        self._copies = copies
        # By key and tag of the record, which never changes: another would have another tag.
        self._documents: dict[tuple[str, str | None], CheckpointDocument] = {}

    def get(self, checkpoint_id: str) -> Checkpoint:
        """Return a checkpoint, as the bucket has it now.

        Raises: WeightsError if there is no checkpoint with this id; StoreError.
        """
        return self._checkpoint(self._record(checkpoint_id))

    def list(self) -> "list[Checkpoint]":
        """Return all checkpoints, the newest first.

        Raises: StoreError.
        """
        checkpoints: list[Checkpoint] = []
        for document in self.documents():
            with contextlib.suppress(WeightsError):  # removed meanwhile
                checkpoints.append(self.get(document["id"]))
        return checkpoints

    def documents(self) -> Sequence[CheckpointDocument]:
        """Return the metadata of all checkpoints, the newest first; those seen before are known.

        Raises: StoreError.
        """
        records = [each for each in self._bucket.objects(FOLDER) if each.key.endswith(_RECORD)]
        with ThreadPoolExecutor(_RECORDS_AT_ONCE, thread_name_prefix="records") as threads:
            read = zip(records, threads.map(self._document, records), strict=True)
            self._documents = {
                (record.key, record.tag): document
                for record, document in read
                if document is not None
            }
        documents = self._documents.values()
        return sorted(documents, key=lambda each: (each["created"], each["id"]), reverse=True)

    def _document(self, record: StoredObject) -> CheckpointDocument | None:
        """Return what a record says; None if it was removed meanwhile."""
        document = self._documents.get((record.key, record.tag))
        if document is None:
            with contextlib.suppress(WeightsError):
                return self._record(_id_of(record)).document
        return document

    def stored_bytes(self) -> int:
        """Return the bytes that the checkpoints take in the bucket.

        What services that died during an upload have left there is removed first.
        """
        stored = self._bucket.objects(FOLDER)
        complete = {_id_of(each) for each in stored if each.key.endswith(_RECORD)}
        total = 0
        for each in stored:
            if _id_of(each) not in complete and each.is_abandoned():
                self._bucket.remove(each.key)
            else:
                total += each.size
        return total

    def remove(self, checkpoint_id: str) -> None:
        """Remove a checkpoint, for all replicas at once.

        Raises: WeightsError if there is no checkpoint with this id; StoreError.
        """
        record = self._record(checkpoint_id)
        self._bucket.remove(record_key(checkpoint_id))
        try:
            self._bucket.remove(tensors_key(checkpoint_id, record.sha256))
        except StoreError as error:
            log.warning("The tensors of checkpoint %s were not removed: %s", checkpoint_id, error)
        self.path(checkpoint_id).unlink(missing_ok=True)

    def add(self, finished: Path, checkpoint_id: str) -> tuple[Checkpoint, bool]:
        """Store a file that an import has written; nobody sees it before all of it is there.

        Returns the checkpoint, and whether it is new: another may have imported the same.
        Raises: StoreError.
        """
        written = self.read(finished, checkpoint_id)
        with finished.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        tensors = {name: (info.dtype, info.shape) for name, info in written.tensors.items()}
        record = Record(written.to_dict(), tensors, sha256)
        key = tensors_key(checkpoint_id, sha256)
        self._bucket.upload(key, finished, sha256)
        if not self._bucket.create(record_key(checkpoint_id), msgspec.json.encode(record)):
            first = self._record(checkpoint_id)
            if first.sha256 != sha256:
                self._bucket.remove(key)
            return self._checkpoint(first), False
        finished.replace(self.path(checkpoint_id))
        self._copies.prune()
        return self._checkpoint(record), True

    def copy(self, checkpoint_id: str) -> bool:
        """Copy the tensors of a checkpoint to its path.

        Raises: WeightsError if there is no checkpoint with this id; StoreError.
        """
        self._copy(self._record(checkpoint_id))
        return True

    def _record(self, checkpoint_id: str) -> Record:
        path = self.path(checkpoint_id)
        record = read_record(self._bucket, checkpoint_id)
        if record is None:
            path.unlink(missing_ok=True)  # of one that another replica has deleted
            raise self.unknown(checkpoint_id)
        return record

    def _checkpoint(self, record: Record) -> BucketCheckpoint:
        document = record.document
        return BucketCheckpoint(
            document["id"],
            self.path(document["id"]),
            document["name"],
            document["format"],
            document["size_bytes"],
            document["created"],
            tuple(document["left_out"]),
            {name: TensorInfo(*info) for name, info in record.tensors.items()},
            document["global_step"],
            partial(self._copy, record),
        )

    def _copy(self, record: Record) -> None:
        checkpoint_id = record.document["id"]
        key = tensors_key(checkpoint_id, record.sha256)
        stored = self._bucket.find(key)
        if stored is None:
            raise DamagedError(f"{key} is missing from the bucket.")
        self._copies.fetch(self._bucket, stored, self.path(checkpoint_id), record.sha256)


def stored_ids(bucket: Bucket) -> list[str]:
    """Return the ids of all checkpoints in a bucket.

    Raises: StoreError.
    """
    return [_id_of(each) for each in bucket.objects(FOLDER) if each.key.endswith(_RECORD)]


def read_record(bucket: Bucket, checkpoint_id: str) -> Record | None:
    """Return the record of a checkpoint, or None if there is no such checkpoint.

    Raises: StoreError.
    """
    data = bucket.read(record_key(checkpoint_id))
    try:
        return None if data is None else msgspec.json.decode(data, type=Record)
    except msgspec.DecodeError as error:
        key = record_key(checkpoint_id)
        raise DamagedError(f"{key} in the bucket is damaged: {error}.") from error


def record_key(checkpoint_id: str) -> str:
    """Return the key of what the bucket says of a checkpoint."""
    return f"{FOLDER}/{checkpoint_id}/{_RECORD}"


def tensors_key(checkpoint_id: str, sha256: str) -> str:
    """Return the key of the tensors of a checkpoint, in a file with a digest."""
    return f"{FOLDER}/{checkpoint_id}/{sha256}.safetensors"


def _id_of(stored: StoredObject) -> str:
    return stored.key.split("/")[1]
