"""Sends files as RFC 9110 specifies: strong entity tags, conditional requests, ranges.

Starlette's FileResponse ignores If-None-Match, and rejects ranges that it should ignore.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.http.problems import HttpError
from app.store.contents import Content

# No file has an offset of 19 digits, and thousands of digits are slow to convert.
_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


class UnsatisfiableRangeError(HttpError):
    """The range starts beyond the end of the file."""

    def __init__(self, size: int) -> None:
        super().__init__(
            "unsatisfiable-range",
            f"The range starts beyond the end; the file has {size} bytes.",
            headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
        )


def file_response(
    request: Request,
    open_content: Callable[[], Content],
    *,
    sha256: str,
    media_type: str,
    name: str,
) -> Response:
    """Return a response with a file, a part of it, or 304.

    Raises: ServiceError (416) for a range that starts beyond the end; FileNotFoundError.
    """
    tag = f'"{sha256}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if lists_tag(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    opened = open_content()
    size = opened.size
    try:
        span = _span(request.headers, tag, size)
    except BaseException:
        opened.close()
        raise
    start, stop = span or (0, size)
    headers["Content-Length"] = str(stop - start)
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    if request.state.bodiless:  # HEAD: the headers describe content that is not sent
        stop = start

    async def content() -> AsyncIterator[bytes]:
        with closing(opened):
            async for chunk in opened.chunks(start, stop):
                yield chunk

    return StreamingResponse(
        content(), 206 if span else 200, headers=headers, media_type=media_type
    )


def lists_tag(field: str | None, tag: str) -> bool:
    """Return whether If-None-Match lists the tag, by weak comparison."""
    if field is None:
        return False
    names = [item.strip().removeprefix("W/") for item in field.split(",")]
    return tag in names or names == ["*"]


def _span(headers: Headers, tag: str, size: int) -> tuple[int, int] | None:
    """Return the start and stop of the requested range, or None for the whole file.

    Multiple ranges, other units and malformed ranges are ignored, as the RFC allows.
    """
    unit, _, ranges = headers.get("range", "").partition("=")
    match = _RANGE.fullmatch(ranges.strip())
    if unit.strip().lower() != "bytes" or match is None or match.group() == "-":
        return None
    if headers.get("if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
        if int(last) == 0:
            raise UnsatisfiableRangeError(size)
    else:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise UnsatisfiableRangeError(size)
    return start, stop
