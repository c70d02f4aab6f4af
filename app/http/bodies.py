"""Reads request bodies, and enforces their limits while the bytes arrive.

Bodies are read raw: no framework decodes them by Content-Type before the limits apply.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request

from app.errors import ServiceError
from app.http.exchange import held_body
from app.http.problems import HttpError
from app.settings import Limit, Settings

# The `wbits` of each encoding. HTTP's deflate is the zlib format, not raw deflate.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
# Inflating a piece blocks the event loop; other requests are served between two pieces.
_PIECE_BYTES = 2**18


async def read_document(
    request: Request, settings: Settings, encodings: Sequence[str] = ()
) -> bytes:
    """Return a body that is a JSON document but not a prediction; see `read_body`."""
    return await read_body(request, settings, encodings, limit=settings.document_limit)


async def read_body(
    request: Request,
    settings: Settings,
    encodings: Sequence[str] = (),
    *,
    limit: Limit[int] | None = None,
) -> bytes:
    """Return the whole body, inflated if it has one of the encodings (gzip, deflate).

    `limit` bounds the size both before and after inflation; the default is `settings.body_limit`.
    Raises: ServiceError if the body is too large, has another encoding, arrives too slowly, or
    finds no room in memory.
    """
    # Joined when all are there: a buffer that grows leaves the heap in holes, of twice its size.
    pieces: list[bytes] = []
    held = held_body(request)
    limit = limit or settings.body_limit
    chunks = body_chunks(request, limit, encodings)
    if (encoding := _encoding(request)) in encodings:
        chunks = _inflated(chunks, encoding, limit)
    try:
        size = limit.value if encoding else declared_size(request)
        async with held.arriving(size or limit.value, settings.body_timeout_s):
            async for chunk in chunks:
                held.add(len(chunk))
                pieces.append(chunk)
    except TimeoutError:
        raise too_slow(sum(map(len, pieces)), settings) from None
    return b"".join(pieces)


async def body_chunks(
    request: Request, limit: Limit[int], encodings: Sequence[str] = ()
) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, without inflating it.

    Raises: ServiceError if the body is too large, if its encoding is not among those given, or if
    the client disconnects.
    """
    encoding = _encoding(request)
    if encoding not in ("", "identity", *encodings):
        instead = f"send {', '.join(encodings)}, or " if encodings else "send "
        raise HttpError(
            "unsupported-type",
            f"Content-Encoding {encoding!r} is not supported; {instead}the body unencoded.",
            headers={"Accept-Encoding": ", ".join(encodings) or "identity"},
        )
    declared = declared_size(request)
    if declared is not None:
        check_size(declared, limit, "bytes")
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            check_size(size, limit, "bytes or more")
            yield chunk
    except ClientDisconnect:
        raise ServiceError(
            "malformed-body", "The client disconnected before the end of the body."
        ) from None


async def _inflated(
    chunks: AsyncIterator[bytes], encoding: str, limit: Limit[int]
) -> AsyncIterator[bytes]:
    """Yield the inflated body in pieces.

    Raises: ServiceError if it is malformed, or as soon as it exceeds the limit.
    """
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    size = 0
    async for chunk in chunks:
        while chunk:
            if inflater.eof:  # also at a second gzip member: a body could hold millions of them
                raise _malformed(encoding, "data follows its end")
            try:
                piece = inflater.decompress(chunk, _PIECE_BYTES)
            except zlib.error:
                raise _malformed(encoding, "its data is corrupt") from None
            chunk = inflater.unconsumed_tail or inflater.unused_data
            size += len(piece)
            check_size(size, limit, "bytes or more when inflated")
            yield piece
            await asyncio.sleep(0)
    # zlib may still hold the output of the last few bits.
    if not inflater.eof and (piece := _end(inflater, encoding)):
        check_size(size + len(piece), limit, "bytes when inflated")
        yield piece


def _end(inflater: Any, encoding: str) -> bytes:
    try:
        piece: bytes = inflater.flush()
    except zlib.error:
        raise _malformed(encoding, "its data is corrupt") from None
    if not inflater.eof:
        raise _malformed(encoding, "it is truncated")
    return piece


def _malformed(encoding: str, why: str) -> ServiceError:
    return ServiceError("malformed-body", f"The body cannot be inflated as {encoding}: {why}.")


def _encoding(request: Request) -> str:
    return ", ".join(request.headers.getlist("content-encoding")).strip().lower()


def declared_size(request: Request) -> int | None:
    """Return the size that the client declares in Content-Length, or None."""
    declared = request.headers.get("content-length", "")
    # int() raises for thousands of digits, and no body has a size of 19.
    return int(declared) if declared.isdecimal() and len(declared) < 19 else None


def too_slow(received: int, settings: Settings) -> ServiceError:
    """Return the error for a body that does not arrive in time."""
    return HttpError(
        "slow-body",
        f"The rest of the body did not arrive within {settings.body_time.in_seconds}; "
        f"{received} bytes had arrived.",
        headers={"Connection": "close"},
    )


def check_size(size: int, limit: Limit[int], unit: str) -> None:
    """Raises: ServiceError (413) if a body is larger than the limit."""
    if size > limit.value:
        raise HttpError(
            "body-too-large",
            f"The body has {size} {unit}; the limit is {limit}.",
            # The rest of the body is never read, so the connection cannot be reused.
            headers={"Connection": "close"},
            received=size,
            limit=limit.value,
            setting=limit.setting,
        )
