"""Receives weight files of any size: streams them to disk and hashes them on the way."""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request

from app.errors import ServiceError
from app.http.bodies import body_chunks, declared_size, too_slow
from app.http.exchange import held_body
from app.http.forms import FormReader, PartHeader, Sink
from app.http.problems import HttpError
from app.serving.upload_room import Upload, UploadRoom
from app.settings import Settings, variable
from model_zoo import NamedFile

# What waits in memory to be written. Hundreds of uploads may be in progress.
_PIECE_BYTES = 2**18
# The index and the shards of a V2 checkpoint, or the shards of a V1 checkpoint.
_MAX_FILES = 64
_FORBIDDEN = re.compile(r"[^ -~]")
_MAX_NAME_CHARACTERS = 200


@dataclass(slots=True)
class _File:
    """A file in transfer."""

    name: str
    path: Path
    stream: BinaryIO
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> None:
        self.stream.write(data)
        self.digest.update(data)


class Receiver:
    """Writes a body into a folder, as one file or as the files of a form."""

    def __init__(self, folder: Path, content_type: str, name: str) -> None:
        """Start a body; `name` is the file's name if the body is not a form.

        Raises: ServiceError if a form's Content-Type has no boundary.
        """
        self._folder = folder
        self._files: list[_File] = []
        self._form: FormReader | None = None
        if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
            self._form = FormReader(
                content_type,
                self._open_part,
                max_parts=_MAX_FILES,
                limit_words="no checkpoint has that many",
            )
            self._sink: Sink = self._form.feed
        else:
            self._sink = self._open(name)

    def feed(self, data: bytes) -> None:
        """Write the next bytes of the body.

        Raises: ServiceError if a form is malformed; OSError if the disk is full.
        """
        self._sink(data)

    def finish(self) -> None:
        """Raises: ServiceError if a form is incomplete or has no file."""
        if self._form is not None:
            self._form.finish()
        if not self._files:
            raise ServiceError("malformed-body", "The form has no field called file.")
        for file in self._files:
            file.stream.flush()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.stream.close()

    @property
    def files(self) -> Sequence[NamedFile]:
        """The files, by the names that the client gave them."""
        return [NamedFile(file.name, file.path) for file in self._files]

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file, by name."""
        return {file.name: file.digest.hexdigest() for file in self._files}

    def _open_part(self, header: PartHeader) -> Sink:
        if header.name != "file" or header.file_name is None:
            raise ServiceError(
                "malformed-body",
                f"The form accepts files in fields called file; received {header.name[:40]!r}.",
            )
        name = plain_name(header.file_name)
        if any(file.name == name for file in self._files):
            raise ServiceError("malformed-body", f"The form contains the file {name!r} twice.")
        return self._open(name)

    def _open(self, name: str) -> Sink:
        path = self._folder / f"upload-{len(self._files)}"
        self._files.append(_File(name, path, path.open("wb")))
        return self._files[-1].write


def plain_name(name: str) -> str:
    r"""Return a client's file name without its folders, in printable ASCII.

    >>> plain_name("C:\\models\\a.ckpt"), plain_name("../x\n.index"), plain_name("")
    ('a.ckpt', 'x_.index', 'upload')
    """
    last = re.split(r"[/\\]", name)[-1]
    return _FORBIDDEN.sub("_", last)[:_MAX_NAME_CHARACTERS] or "upload"


class _LeastRate:
    """How long a client may still keep an upload waiting.

    It may fall behind the least rate by a grace, so that a pause is not fatal, and makes up for it
    by what it sends. It cannot send in advance: a fast start would let it dawdle for days.
    """

    def __init__(self, bytes_s: int, grace_s: float) -> None:
        self.slack_s = grace_s
        self._bytes_s, self._grace_s = bytes_s, grace_s

    def count(self, waited_s: float, size: int) -> None:
        """Count bytes, and the time for which they were awaited."""
        if self._bytes_s:
            slack_s = self.slack_s - waited_s + size / self._bytes_s
            self.slack_s = min(slack_s, self._grace_s)


async def receive(
    request: Request, receiver: Receiver, upload: Upload, room: UploadRoom, settings: Settings
) -> None:
    """Stream a body into the receiver; a thread writes it in pieces.

    Raises: ServiceError if the body is too large, encoded or malformed, stalls for too long, is too
    slow, or finds no room.
    """
    chunks = body_chunks(request, settings.upload_limit)
    held = held_body(request)
    rate = _LeastRate(settings.min_upload_bytes_s, settings.body_timeout_s)
    buffer = bytearray()

    def write(data: bytes) -> None:
        room.reserve(upload, len(data))
        receiver.feed(data)

    while True:
        began = time.monotonic()
        try:
            async with held.arriving(_PIECE_BYTES, rate.slack_s):
                chunk = await anext(chunks, None)
                held.add(len(chunk or b""))
        except TimeoutError:
            if rate.slack_s == settings.body_timeout_s:  # nothing at all for that long
                raise too_slow(upload.received_bytes, settings) from None
            raise _below_least_rate(upload.received_bytes, settings) from None
        if chunk is not None:
            rate.count(time.monotonic() - began, len(chunk))
            buffer += chunk
            upload.received_bytes += len(chunk)
        if buffer and (chunk is None or len(buffer) >= _PIECE_BYTES):
            await asyncio.to_thread(write, bytes(buffer))
            held.release(len(buffer))
            buffer.clear()
        if chunk is None:
            break
    await asyncio.to_thread(receiver.finish)


def _below_least_rate(received: int, settings: Settings) -> ServiceError:
    return HttpError(
        "slow-body",
        f"The upload fell {settings.body_time.in_seconds} behind the "
        f"least rate of {settings.min_upload_bytes_s} bytes a second "
        f"({variable('min_upload_bytes_s')}); {received} bytes had arrived.",
        headers={"Connection": "close"},
    )


def begin(request: Request) -> Upload:
    """Return the record of a new upload."""
    return Upload(request.state.request_id, declared_size(request))
