"""A bucket of S3, Google Cloud Storage or Azure Blob Storage, and what can be wrong with one.

Only what has ZOO_FILES_URL imports this module, as obstore is an extra. Credentials, the endpoint
and the like come from the environment, by the names that each cloud's own tools have.
"""

import contextlib
import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from app.settings import Limit
from app.store.errors import StoreError, disk_error

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

# The least that S3 takes as a part of an upload, so that each takes little of the time and memory.
PIECE_BYTES = 5 * 2**20
_PARTS_AT_ONCE = 2
_READ_BYTES = 2**18
# The variables that obstore reads itself unless it is given other options of its client.
_PREFIXES = {
    "s3": "AWS_",
    "s3a": "AWS_",
    "gs": "GOOGLE_",
    "az": "AZURE_",
    "abfs": "AZURE_",
    "abfss": "AZURE_",
    "azure": "AZURE_",
}
_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "proxy_url",
    "proxy_excludes",
    "proxy_ca_certificate",
    "root_certificate",
)
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
_NO_OBJECT = "NoSuchKey"
_NO_UPLOAD = "NoSuchUpload"
_REFUSED = ("403 Forbidden", "401 Unauthorized", "AccessDenied")
_ANSWERED = "Server returned"
_MAX_LOGGED = 300
_NOTHING = "health"
# Longer than any request takes.
_ABANDONED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a bucket; its tag changes with its content."""

    key: str
    size: int
    tag: str | None
    modified: datetime

    def is_abandoned(self) -> bool:
        """Return whether no request that stored it can still be in progress."""
        return self.modified < datetime.now(UTC) - _ABANDONED


class DamagedError(StoreError):
    """An object is not what was stored."""


class Bucket:
    """A bucket, or the part of one with a prefix. Every method blocks, for a limited time."""

    def __init__(self, url: str, wait: Limit[float]) -> None:
        """`wait` limits the seconds of a request, with what is tried again.

        Raises: StoreError if the URL names no bucket, or a variable that it needs is missing.
        """
        self._wait = wait
        self._failure: str | None = None
        self._checking = threading.Lock()
        self._is_closed = False
        scheme = urlsplit(url).scheme
        half = timedelta(seconds=wait.value / 2)
        try:
            if scheme == "file":
                self._store = from_url(url, mkdir=True)
                return
            if scheme not in _PREFIXES:
                raise StoreError(
                    "ZOO_FILES_URL must begin with s3://, gs:// or az://, and name a bucket and "
                    f"any prefix in it; received {scheme or 'no scheme'!r}."
                )
            # A request that times out after the first half is not tried again.
            client: ClientConfig = {"timeout": half, "connect_timeout": half}
            retries: RetryConfig = {
                "max_retries": 3,
                "retry_timeout": half,
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=1),
                    "base": 2,
                },
            }
            client = {**client, **_of_environment(_PREFIXES[scheme])}
            self._store = from_url(url, client_options=client, retry_config=retries)
        except (BaseError, ValueError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(f"ZOO_FILES_URL cannot be used: {reason}.") from error

    # State ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Begin to find out, in a thread, whether the bucket answers; one does at a time."""
        if self._checking.acquire(blocking=False):
            threading.Thread(target=self._check, name="bucket", daemon=True).start()

    def _check(self) -> None:
        try:
            with contextlib.suppress(StoreError):
                self.objects(_NOTHING)
        finally:
            self._checking.release()

    def why_lost(self) -> str | None:
        """Return why the last request failed, if it did; then it is tried whether others do."""
        if self._failure is not None:
            self.check()
        return self._failure

    def close(self) -> None:
        """End the transfers in progress; without that, the process would wait for them."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("The service is stopping.")

    # Objects ----------------------------------------------------------------------------------

    def objects(self, folder: str) -> list[StoredObject]:
        """Return what is in a folder and those in it, which need not be there."""
        with self._errors():
            pages = obstore.list(self._store, folder or None)
            return [_stored(each) for page in pages for each in page]

    def find(self, key: str) -> StoredObject | None:
        """Return an object without its content, or None if there is none."""
        with self._errors(), _if_there():
            return _stored(obstore.head(self._store, key))
        return None

    def read(self, key: str) -> bytes | None:
        """Return a small object, or None if there is none."""
        with self._errors(), _if_there():
            return bytes(obstore.get(self._store, key).bytes())
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Store a small object unless one has the key; return whether it is new."""
        with self._errors():
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
            except NotSupportedError:  # by a store that has no conditions
                if self.find(key) is not None:
                    return False
                obstore.put(self._store, key, data)
            return True

    def upload(self, key: str, path: Path, sha256: str) -> None:
        """Store a file of any size.

        Raises: StoreError if it is not the content with this digest, or is not stored whole;
        FileNotFoundError if the file is gone.
        """
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = self._content(stream, sha256)
            with self._errors():
                if size <= PIECE_BYTES:
                    obstore.put(self._store, key, b"".join(content), use_multipart=False)
                else:
                    self._upload_pieces(key, content)
        stored = self.find(key)
        if stored is None or stored.size != size:
            raise DamagedError(f"{key} was not stored whole: {size} bytes were sent.")

    def _upload_pieces(self, key: str, content: Iterator[bytes]) -> None:
        try:
            obstore.put(
                self._store,
                key,
                content,
                chunk_size=PIECE_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except FileNotFoundError as error:
            # obstore gives up an upload whose last answer is lost, and a bucket that knows of no
            # such upload has completed it: the object shows whether it has.
            if _NO_UPLOAD not in str(error):
                raise

    def pieces(
        self, stored: StoredObject, start: int, stop: int, size: int = PIECE_BYTES
    ) -> Iterator[bytes]:
        """Yield the bytes of an object from `start` to `stop`, each piece by a request.

        Raises: StoreError if it is removed or replaced meanwhile.
        """
        for begin in range(start, stop, size):
            self._check_open()
            end = min(begin + size, stop)
            with self._errors():
                try:
                    piece = bytes(
                        obstore.get(
                            self._store,
                            stored.key,
                            options={"range": (begin, end), "if_match": stored.tag},
                        ).bytes()
                    )
                except (BaseError, FileNotFoundError) as error:
                    if not isinstance(error, PreconditionError):
                        _check_missing(error)
                    raise StoreError(
                        f"{stored.key} was removed or replaced during the request; try again."
                    ) from error
            if len(piece) != end - begin:
                raise DamagedError(f"{stored.key} ends at byte {begin + len(piece)}.")
            yield piece

    def fetch(self, stored: StoredObject, path: Path, sha256: str) -> None:
        """Write an object to a new file.

        Raises: DamagedError if it is not the content with this digest; StoreError; OSError.
        """
        digest = hashlib.sha256()
        with path.open("xb") as stream:
            for piece in self.pieces(stored, 0, stored.size):
                stream.write(piece)
                digest.update(piece)
        check_digest(stored.key, digest.hexdigest(), sha256)

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._errors(), _if_there():
            obstore.delete(self._store, key)

    def _content(self, stream: BinaryIO, sha256: str) -> Iterator[bytes]:
        """Yield a file in pieces; the upload of one that has changed fails at the end."""
        digest = hashlib.sha256()
        while piece := stream.read(_READ_BYTES):
            self._check_open()
            digest.update(piece)
            yield piece
        if digest.hexdigest() != sha256:
            raise DamagedError(f"A file changed before it was stored; its digest was {sha256}.")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise a StoreError for an error of the bucket, in words fit for a client."""
        try:
            yield
        except StoreError:
            raise
        except (BaseError, FileNotFoundError) as error:
            reason = self._explain(error)
            if self._failure != reason:
                line = re.sub(r"\?\S*", "", str(error).partition("\n")[0])  # may have a signature
                log.warning("%s %s", reason, line[:_MAX_LOGGED])
            self._failure = reason
            raise StoreError(reason) from error
        except OSError as error:
            raise disk_error(error) from error
        else:
            if self._failure is not None:
                log.warning("The bucket of ZOO_FILES_URL answers again.")
            self._failure = None

    def _explain(self, error: Exception) -> str:
        text, bucket = str(error), "The bucket of ZOO_FILES_URL"
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return f"{bucket} refuses access."
        if _has_one_of(_NO_BUCKET, text):
            return f"{bucket} does not exist."
        if _has_one_of(_REFUSED, text):
            return f"{bucket} refuses access."
        if _ANSWERED in text:
            return f"{bucket} reports an error."
        return f"{bucket} does not answer; a request ends after {self._wait.in_seconds}."


def check_digest(key: str, actual: str, expected: str) -> None:
    """Raises: DamagedError if the digest of an object is not that of what was stored."""
    if actual != expected:
        raise DamagedError(f"{key} in the bucket is damaged: its digest is {actual}.")


def _of_environment(prefix: str) -> "ClientConfig":
    options = {
        name: os.environ[prefix + name.upper()]
        for name in _CLIENT_OPTIONS
        if prefix + name.upper() in os.environ
    }
    return cast("ClientConfig", options)


def _stored(meta: "obstore.ObjectMeta") -> StoredObject:
    return StoredObject(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])


@contextlib.contextmanager
def _if_there() -> Iterator[None]:
    """End the block if the object is missing that it is about."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        _check_missing(error)


def _check_missing(error: Exception) -> None:
    """Raise the error of a request again unless it says that there is no such object.

    It is a FileNotFoundError, but for an object to delete: S3 says of each whether it was deleted,
    in an answer that is no error. That the bucket is missing is a FileNotFoundError too.
    """
    text = str(error)
    is_missing = isinstance(error, FileNotFoundError) or f"code: {_NO_OBJECT}" in text
    if not is_missing or _has_one_of(_NO_BUCKET, text):
        raise error


def _has_one_of(codes: tuple[str, ...], text: str) -> bool:
    return any(code in text for code in codes)
