"""Reads request bodies, within limits that count while the bytes arrive.

Bodies are read raw: no framework decodes them by their Content-Type before the limits apply.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request

from app.errors import ServiceError
from app.http.problems import HttpError
from app.settings import Limit, Settings, variable

# zlib's numbers for the encodings: deflate in HTTP is zlib's own format.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
# Other requests are answered between two pieces of an inflated body.
_PIECE_BYTES = 2**18


async def read_document(
    request: Request, settings: Settings, encodings: Sequence[str] = ()
) -> bytes:
    """Return a body that is one JSON document, and no prediction; see `read_body`."""
    return await read_body(request, settings, encodings, limit=settings.document_limit)


async def read_body(
    request: Request,
    settings: Settings,
    encodings: Sequence[str] = (),
    *,
    limit: Limit[int] | None = None,
) -> bytes:
    """Return the whole body, inflated if it is in one of the encodings (gzip, deflate).

    `limit` bounds its size, both as it arrives and inflated; by default that of any body.
    Raises: ServiceError if it is too large as it comes or inflated, in another encoding, or slow.
    """
    body = bytearray()
    limit = limit or settings.body_limit
    chunks = body_chunks(request, limit, encodings)
    if (encoding := _encoding(request)) in encodings:
        chunks = _inflated(chunks, encoding, limit)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in chunks:
                body += chunk
    except TimeoutError:
        raise too_slow(len(body), settings) from None
    return bytes(body)


async def body_chunks(
    request: Request, limit: Limit[int], encodings: Sequence[str] = ()
) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, not inflated.

    Raises: ServiceError if it is too large, in an encoding that is not among those given, or the
    client goes away.
    """
    encoding = _encoding(request)
    if encoding not in ("", "identity", *encodings):
        instead = f"send {', '.join(encodings)}, or " if encodings else "send "
        raise HttpError(
            "unsupported-type",
            f"Content-Encoding {encoding!r} is not supported; {instead}the body as it is.",
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
            "malformed-body", "The client went away before the body's end."
        ) from None


async def _inflated(
    chunks: AsyncIterator[bytes], encoding: str, limit: Limit[int]
) -> AsyncIterator[bytes]:
    """Yield a body inflated, piece by piece, and no more of it than the limit allows."""
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    size = 0
    async for chunk in chunks:
        while chunk:
            if inflater.eof:  # a second gzip member included: there could be millions
                raise _malformed(encoding, "something follows its end")
            try:
                piece = inflater.decompress(chunk, _PIECE_BYTES)
            except zlib.error:
                raise _malformed(encoding, "its data is corrupt") from None
            chunk = inflater.unconsumed_tail or inflater.unused_data
            size += len(piece)
            check_size(size, limit, "bytes or more when it is inflated")
            yield piece
            await asyncio.sleep(0)
    # zlib may still hold what the last few bits of the input were.
    if not inflater.eof and (piece := _end(inflater, encoding)):
        check_size(size + len(piece), limit, "bytes when it is inflated")
        yield piece


def _end(inflater: Any, encoding: str) -> bytes:
    try:
        piece: bytes = inflater.flush()
    except zlib.error:
        raise _malformed(encoding, "its data is corrupt") from None
    if not inflater.eof:
        raise _malformed(encoding, "it ends too early")
    return piece


def _malformed(encoding: str, why: str) -> ServiceError:
    return ServiceError("malformed-body", f"The body cannot be inflated as {encoding}: {why}.")


def _encoding(request: Request) -> str:
    return ", ".join(request.headers.getlist("content-encoding")).strip().lower()


def declared_size(request: Request) -> int | None:
    """Return the body's size as the client declares it, if it does."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 19 else None


def too_slow(received: int, settings: Settings) -> ServiceError:
    """Return the refusal of a body that does not arrive in time."""
    return HttpError(
        "slow-body",
        f"{received} bytes arrived in {settings.body_timeout_s:g} s "
        f"({variable('body_timeout_s')}), and not all of the body.",
        headers={"Connection": "close"},
    )


def check_size(size: int, limit: Limit[int], unit: str) -> None:
    """Raises: ServiceError (413) if a body is larger than the limit."""
    if size > limit.value:
        raise HttpError(
            "body-too-large",
            f"The body has {size} {unit}; the limit is {limit}.",
            # What still arrives is not read: the connection cannot be used again.
            headers={"Connection": "close"},
            received=size,
            limit=limit.value,
            setting=limit.setting,
        )
