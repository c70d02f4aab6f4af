"""Downloads one file over HTTPS, resumes an interrupted download, and checks the SHA-256.

While it is incomplete the file is called `.part`, and `.part.json` records which version it belongs
to. Afterwards `.sha256` stays beside it, for `sha256sum -c` and for later downloads.
"""

import contextlib
import email.utils
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import httpx

from model_zoo.errors import WeightsError

MAX_BYTES = 4 * 2**30  # as many as a reader accepts
ATTEMPTS = 5
_MAX_REDIRECTS = 5
_MAX_SLEEP_S = 30.0
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)  # seconds without receiving a byte
_SHA256 = re.compile("[0-9a-f]{64}")

Progress = Callable[[int, int | None], None]


class _UnfinishedError(Exception):
    """An attempt that was interrupted; another one may resume it."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The file and the version that a part belongs to; without a validator it cannot be resumed."""

    url: str
    validator: str | None
    total: int | None


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    progress: Progress,
    client: httpx.Client | None = None,
    max_bytes: int = MAX_BYTES,
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Download a file unless it is there, and return its SHA-256.

    The file must match `sha256`, or else the digest that the first download of this target
    recorded. `progress` receives the bytes so far, and the total if the server states it.

    Raises: WeightsError if the URL, the response, the size or the digest is not acceptable, if no
    attempt finishes (the next call resumes the download), or if the file cannot be written.
    """
    address = _address(url)
    expected = _pinned(sha256) if sha256 is not None else _recorded(target)
    if target.exists():
        return _existing(target, expected, progress)
    with contextlib.ExitStack() as stack:
        if client is None:
            client = stack.enter_context(httpx.Client(timeout=_TIMEOUT))
        part = stack.enter_context(_Part(target))
        _download(client, address, part, progress, max_bytes, attempts, sleep)
        digest = part.digest()
        if expected not in (None, digest):
            part.start_over()  # resuming could not repair it
            raise WeightsError(
                f"{url} has SHA-256 {digest}; expected {expected}. The download was discarded."
            )
        part.finish(digest)
    return digest


def _existing(target: Path, expected: str | None, progress: Progress) -> str:
    digest = _digest(target)
    if expected is None:
        raise WeightsError(
            f"{target} exists, with SHA-256 {digest}, and no digest is recorded for it: give "
            "that one as the SHA-256 to keep the file, or delete the file to fetch it again."
        )
    if digest != expected:
        raise WeightsError(
            f"{target} has SHA-256 {digest}; expected {expected}. Delete it to fetch it again."
        )
    size = target.stat().st_size
    progress(size, size)
    return digest


def _pinned(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256.lower()):
        raise WeightsError(f"A SHA-256 has 64 hexadecimal digits; received {sha256!r}.")
    return sha256.lower()


def _recorded(target: Path) -> str | None:
    record = _beside(target, ".sha256")
    with _disk(record):
        text = record.read_text("ascii", "replace") if record.exists() else None
    if text is None:
        return None
    if not _SHA256.fullmatch(text[:64]):
        raise WeightsError(
            f"{record} does not begin with a SHA-256: delete it to accept any next download."
        )
    return text[:64]


def _address(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Return a URL that may be fetched: over https, from this machine, or where `base` may lead."""
    try:
        url = base.join(text) if base else httpx.URL(text)
    except httpx.InvalidURL as error:
        raise WeightsError(f"{text!r} is not a URL ({error}).") from error
    allowed = (
        (url.scheme, url.host) == (base.scheme, base.host)
        if base
        else url.scheme == "http" and _is_loopback(url.host)
    )
    if not url.host or (url.scheme != "https" and not allowed):
        came = f"{base} redirects to {url}" if base else f"Received {text!r}"
        raise WeightsError(f"Weights are fetched over https, or from this machine. {came}.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _download(
    client: httpx.Client,
    url: httpx.URL,
    part: "_Part",
    progress: Progress,
    max_bytes: int,
    attempts: int,
    sleep: Callable[[float], None],
) -> None:
    cause: Exception = _UnfinishedError("there was none")
    for attempt in range(attempts):
        if attempt:
            sleep(min(2.0 ** (attempt - 1), _MAX_SLEEP_S))
        try:
            return _attempt(client, url, part, progress, max_bytes)
        except (httpx.TransportError, _UnfinishedError) as error:
            cause = error
    resume = f"{part.size} bytes are kept in {part.path}: fetch again to resume."
    raise WeightsError(
        f"{url} was not downloaded in {attempts} attempts; the last one failed: {cause}. "
        f"{resume if part.validator(url) else 'Fetch again to start over.'}"
    ) from cause


def _attempt(
    client: httpx.Client, url: httpx.URL, part: "_Part", progress: Progress, max_bytes: int
) -> None:
    # An encoded body would be neither the file itself nor of the stated length.
    headers = {"Accept-Encoding": "identity"}
    validator = part.validator(url)
    if validator:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": validator}
    with _response(client, url, headers) as response:
        total = _begin(response, url, part, validator)
        if total is not None and total > max_bytes:
            part.start_over()
            raise WeightsError(f"{url} has {total} bytes; the limit is {max_bytes}.")
        progress(part.size, total)
        if part.size == total:
            return
        limit = max_bytes if total is None else total
        for chunk in response.iter_raw():
            if part.size + len(chunk) > limit:
                part.start_over()
                whose = "the limit" if total is None else "its size"
                raise WeightsError(f"{url} sends more than {limit} bytes, {whose}.")
            part.append(chunk)
            progress(part.size, total)
    if total is not None and part.size != total:
        raise _UnfinishedError(f"{part.size} of {total} bytes")


@contextlib.contextmanager
def _response(
    client: httpx.Client, url: httpx.URL, headers: dict[str, str]
) -> Iterator[httpx.Response]:
    """Yield the response, following redirects; each address is checked before it is requested."""
    for _ in range(_MAX_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
            if not response.has_redirect_location:
                yield response
                return
            url = _address(response.headers["Location"], base=url)
    raise WeightsError(f"More than {_MAX_REDIRECTS} redirects, the last to {url}.")


def _begin(
    response: httpx.Response, url: httpx.URL, part: "_Part", validator: str | None
) -> int | None:
    """Prepare the part for the body, and return the size of the whole file."""
    status = response.status_code
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if status in (200, 206) and encoding != "identity":
        raise WeightsError(f"{url} is sent in the encoding {encoding}, which was not requested.")
    if status == 200:  # also to a range: the original has changed, or ranges are not supported
        total = _content_length(response, url)
        part.start_over(_Version(str(url), _validator(response), total))
        return total
    if status == 206 and validator:
        return _resumed(response, url, part, validator)
    if status == 416 and validator:
        if response.headers.get("Content-Range") == f"bytes */{part.size}":
            return part.size  # the part is the whole file
        part.start_over()
        raise _UnfinishedError("it is shorter than what was downloaded before")
    answer = f"{status} {response.reason_phrase}".strip()
    if status in (408, 429) or status >= 500:
        raise _UnfinishedError(f"the server answered {answer}")
    at = "" if response.url == url else f", redirected to {response.url},"
    raise WeightsError(f"{url}{at} answered {answer} where a file was expected.")


def _content_length(response: httpx.Response, url: httpx.URL) -> int | None:
    if "Content-Length" in response.headers:
        return int(response.headers["Content-Length"])  # the client has checked that it is a number
    if "chunked" not in response.headers.get("Transfer-Encoding", "").lower():
        # The body would end with the connection, so a truncated one would look complete.
        raise WeightsError(f"{url} states neither a length nor chunks, so its end is unknown.")
    return None


def _resumed(response: httpx.Response, url: httpx.URL, part: "_Part", validator: str) -> int:
    now = response.headers.get("ETag" if validator.startswith('"') else "Last-Modified")
    if now not in (None, validator):
        part.start_over()
        raise _UnfinishedError(f"it changed during the download, from {validator} to {now}")
    total = part.version.total if part.version else None
    said = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", said)
    if match:
        first, last, whole = map(int, match.groups())
        if first == part.size <= last < whole and total in (None, whole):
            return whole
    end = "*/*" if total is None else f"{total - 1}/{total}"
    raise WeightsError(
        f"{url} answers a request for bytes from {part.size} with Content-Range {said!r}; expected "
        f"'bytes {part.size}-{end}'. Delete {part.path} to start over."
    )


def _validator(response: httpx.Response) -> str | None:
    """Return the strong validator of this version of the file (RFC 9110, 8.8), if it has one.

    A weak ETag is not one, nor is a date so recent that a second change could share it.
    """
    etag, modified = (response.headers.get(name) for name in ("ETag", "Last-Modified"))
    if etag and etag.startswith('"'):
        return str(etag)
    try:
        changed = email.utils.parsedate_to_datetime(modified or "")
        sent = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return str(modified) if (sent - changed).total_seconds() >= 1 else None
    except (ValueError, TypeError):  # TypeError: one date with a zone and one without
        return None


class _Part:
    """The unfinished file beside the target, and the record of the version it belongs to.

    One process holds it at a time. On exit it is deleted unless a later call can resume it.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = _beside(target, ".part")
        self._note = _beside(target, ".part.json")

    def __enter__(self) -> Self:
        with _disk(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with _disk(self.path), contextlib.ExitStack() as stack:
            self._file = stack.enter_context(self.path.open("ab"))
            try:
                # Two writers would mix their bytes, and the mixture could be recorded as good.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WeightsError(f"{self.path} is being written by another process.") from error
            self.size = self._file.tell()
            stack.pop_all()
        self.version = self._noted()
        return self

    def _noted(self) -> _Version | None:
        try:
            version = _Version(**json.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError):  # an unreadable record counts as none
            return None
        typed = isinstance(version.validator, str) and isinstance(version.total, int | None)
        return version if typed else None

    def __exit__(self, *_: object) -> None:
        with _disk(self.path), self._file:
            # The lock is still held, so no other process can be writing.
            if not (self.size and self.version and self.version.validator):
                self.path.unlink(missing_ok=True)
                self._note.unlink(missing_ok=True)

    def validator(self, url: httpx.URL) -> str | None:
        """Return the validator with which this URL's download can be resumed, if it can."""
        known = self.size and self.version and self.version.url == str(url)
        return self.version.validator if known and self.version else None

    def start_over(self, version: _Version | None = None) -> None:
        """Discard the bytes; those that follow belong to this version."""
        self.version = version
        with _disk(self.path):
            self._note.unlink(missing_ok=True)
            self._file.truncate(0)
            self.size = 0
            if version:
                self._note.write_text(json.dumps(asdict(version)), "utf-8")

    def append(self, chunk: bytes) -> None:
        with _disk(self.path):
            self._file.write(chunk)
        self.size += len(chunk)

    def digest(self) -> str:
        with _disk(self.path):
            self._file.flush()
        return _digest(self.path)

    def finish(self, digest: str) -> None:
        """Rename the file, so that even a crash leaves it complete or absent."""
        record = _beside(self.target, ".sha256")
        with _disk(self.target):
            os.fsync(self._file.fileno())
            # First: a crash in between leaves a record without file, which the next fetch checks.
            record.write_text(f"{digest}  {self.target.name}\n", "utf-8")
            self.path.replace(self.target)
            directory = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        self.version = None


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f"{target.name}{suffix}")


def _digest(path: Path) -> str:
    with _disk(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}.") from error
