"""Reads request bodies, within limits that count while the bytes arrive.

Bodies are read raw: no framework decodes them by their Content-Type before the limits apply.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from app.problems import ServiceError
from app.settings import Settings, variable


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body.

    Raises: ServiceError if it is too large, encoded, or too slow.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in body_chunks(request, "max_body_bytes", settings):
                body += chunk
    except TimeoutError:
        raise too_slow(len(body), settings) from None
    return bytes(body)


async def body_chunks(request: Request, limit: str, settings: Settings) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; `limit` names the setting that bounds its size.

    Raises: ServiceError if it is too large, encoded, or the client goes away.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ServiceError(
            "unsupported-type",
            f"Content-Encoding {encoding!r} is not supported; send the body as it is.",
            headers={"Accept-Encoding": "identity"},
        )
    declared = declared_size(request)
    if declared is not None:
        check_size(declared, limit, settings, "bytes")
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            check_size(size, limit, settings, "bytes or more")
            yield chunk
    except ClientDisconnect:
        raise ServiceError(
            "malformed-body", "The client went away before the body's end."
        ) from None


def declared_size(request: Request) -> int | None:
    """Return the body's size as the client declares it, if it does."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 19 else None


def too_slow(received: int, settings: Settings) -> ServiceError:
    """Return the refusal of a body that does not arrive in time."""
    return ServiceError(
        "slow-body",
        f"{received} bytes arrived in {settings.body_timeout_s:g} s "
        f"({variable('body_timeout_s')}), and not all of the body.",
        headers={"Connection": "close"},
    )


def check_size(size: int, name: str, settings: Settings, unit: str) -> None:
    """Raises: ServiceError (413) if a body is larger than the setting of that name allows."""
    limit, setting = getattr(settings, name), variable(name)
    if size > limit:
        raise ServiceError(
            "body-too-large",
            f"The body has {size} {unit}; the limit is {limit} ({setting}).",
            # What still arrives is not read: the connection cannot be used again.
            headers={"Connection": "close"},
            received=size,
            limit=limit,
            setting=setting,
        )
