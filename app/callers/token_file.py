"""The file of tokens: who has one, with which role and limits. It holds digests, never a token.

A token is 256 random bits, which nobody can guess, however fast the digest: a slow hash, which
protects passwords that people choose, would only make each request slow.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from app.callers.roles import ROLES, Role
from model_zoo import ZooError, not_accepted

# Tells a token of this service from any other, for people and for scanners of leaked secrets.
PREFIX = "zoo_"
FILE_NAME = "tokens.json"

_FORMAT = 1
_TOKEN_BYTES = 32
_MAX_BYTES = 4 * 2**20
MAX_REQUESTS_PER_S = 1e6

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Time = Annotated[datetime, Meta(tz=True)]


class TokensError(ZooError):
    """The file of tokens cannot be read or written, or is not valid."""


class TokenRecord(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A token: its name, its role, and the SHA-256 of its text in hexadecimal."""

    name: _Name
    role: Role
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    created: _Time
    expires: _Time | None = None
    requests_per_s: Annotated[float, Meta(gt=0, le=MAX_REQUESTS_PER_S)] | None = None
    concurrency: Annotated[int, Meta(ge=1)] | None = None

    def is_expired(self, now: datetime) -> bool:
        """Return whether its time is over."""
        return self.expires is not None and now >= self.expires


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    tokens: list[TokenRecord]


class Version(NamedTuple):
    """What differs between two versions of a file, whether it was replaced or written in place."""

    inode: int
    bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Version":
        """Return the version of a file's status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def digest(token: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token.encode()).digest()


def read_tokens(path: Path) -> tuple[list[TokenRecord], Version]:
    """Return the tokens of a file, and which version of it was read.

    Raises: TokensError if it cannot be read, or is not valid.
    """
    try:
        # Nothing is awaited of a pipe, which has no end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise TokensError(f"{path} is no regular file.")
            content = _read(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TokensError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > _MAX_BYTES:
        raise TokensError(f"{path} has more than {_MAX_BYTES} bytes.")
    return _checked(path, content), Version.of(status)


def _read(descriptor: int) -> bytes:
    """Return what a file holds, or more than it may hold."""
    with open(descriptor, "rb", closefd=False) as stream:
        return stream.read(_MAX_BYTES + 1)


def _checked(path: Path, content: bytes) -> list[TokenRecord]:
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokensError(f"{path} is no file of tokens: {error}.") from error
    if document.format != _FORMAT:
        raise TokensError(
            f"{path} has format {document.format}; this version of the service reads {_FORMAT}."
        )
    for field in ("name", "sha256"):
        counts = Counter(getattr(record, field) for record in document.tokens)
        ((value, count),) = counts.most_common(1) or [("", 0)]
        if count > 1:
            raise TokensError(f"{path} has {count} tokens with {field} {value}.")
    return document.tokens


def add_token(
    path: Path,
    name: str,
    role: Role,
    *,
    expires: datetime | None = None,
    requests_per_s: float | None = None,
    concurrency: int | None = None,
) -> str:
    """Add a token to a file, which is made if it is missing, and return the token's text.

    Raises: TokensError if there is a token of this name, or if an argument is not valid.
    """
    if role not in ROLES:
        raise not_accepted("role", role, ROLES)
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    now = datetime.now(UTC).replace(microsecond=0)
    record = TokenRecord(name, role, digest(token).hex(), now, expires, requests_per_s, concurrency)
    try:
        msgspec.convert(msgspec.to_builtins(record), TokenRecord)
    except msgspec.ValidationError as error:
        raise TokensError(f"The token is not valid: {error}.") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TokensError(f"{path.parent} cannot be made: {error.strerror}.") from error
    with _changing(path) as records:
        if any(each.name == name for each in records):
            raise TokensError(f"{path} has a token {name!r} already; revoke it first.")
        records.append(record)
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove a token from a file.

    Raises: TokensError if there is no token of this name.
    """
    with _changing(path) as records:
        left = [each for each in records if each.name != name]
        if len(left) == len(records):
            names = ", ".join(each.name for each in records) or "none"
            raise TokensError(f"{path} has no token {name!r}; it has: {names}.")
        records[:] = left


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[TokenRecord]]:
    """Write the list back that was changed inside; nobody else changes the file meanwhile."""
    path = path.resolve()  # a link stays, and what it leads to is replaced
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            records = read_tokens(path)[0] if path.exists() else []
            yield records
            _replace(path, msgspec.json.encode(_Document(_FORMAT, records)))
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise TokensError(f"{path} cannot be written: {error.strerror}.") from error


def _replace(path: Path, content: bytes) -> None:
    """Replace a file whole; its owner alone may read it."""
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    owner = path if path.exists() else path.parent
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123  a descriptor
            if os.geteuid() == 0:  # the service, which has to read it, may be another user
                os.fchown(descriptor, owner.stat().st_uid, owner.stat().st_gid)
            stream.write(msgspec.json.format(content, indent=1) + b"\n")
            stream.flush()
            os.fsync(descriptor)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
