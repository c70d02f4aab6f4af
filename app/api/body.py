"""Reads request bodies, within limits that count while the bytes arrive.

Bodies are read raw: no framework decodes them by their Content-Type before the limits apply.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.problems import ServiceError
from app.settings import Settings, variable

# Fields of a form beside the images and arrays, whose number the batch limits.
_OTHER_PARTS = 8


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body.

    Raises: ServiceError if it is too large, encoded, or too slow.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ServiceError(
            "unsupported-type",
            f"Content-Encoding {encoding!r} is not supported; send the body as it is.",
            headers={"Accept-Encoding": "identity"},
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 19:
        _check_size(int(declared), settings.max_body_bytes, "bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.stream():
                _check_size(len(body) + len(chunk), settings.max_body_bytes, "bytes or more")
                body += chunk
    except TimeoutError:
        raise ServiceError(
            "slow-body",
            f"{len(body)} bytes arrived in {settings.body_timeout_s:g} s "
            f"({variable('body_timeout_s')}), and not all of the body.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise ServiceError(
            "malformed-body", "The client went away before the body's end."
        ) from None
    return bytes(body)


def _check_size(size: int, limit: int, unit: str) -> None:
    if size > limit:
        setting = variable("max_body_bytes")
        raise ServiceError(
            "body-too-large",
            f"The body has {size} {unit}; the limit is {limit} ({setting}).",
            # What still arrives is not read: the connection cannot be used again.
            headers={"Connection": "close"},
            received=size,
            limit=limit,
            setting=setting,
        )


class Part(NamedTuple):
    """One part of a form."""

    name: str
    content_type: str
    data: bytes


def parse_form(data: bytes, content_type: str, *, max_batch: int) -> Sequence[Part]:
    """Return the parts of a `multipart/form-data` body.

    Raises: ServiceError if it is malformed or has too many parts.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise ServiceError("malformed-body", "The form's Content-Type has no boundary.")
    collector = _Collector(max_batch + _OTHER_PARTS)
    try:
        parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type]  # a TypedDict there
        parser.write(data)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise ServiceError("malformed-body", "The form is not well-formed.") from error
    if not collector.complete:
        raise ServiceError("malformed-body", "The form ends before its last boundary.")
    return collector.parts


class _Collector:
    """Collects parts from the parser's callbacks, which hand over slices of the body."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[Part] = []
        self.complete = False
        self._max_parts = max_parts
        self._headers: dict[bytes, bytes] = {}
        self._field = bytearray()
        self._value = bytearray()
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self._max_parts:
            raise ServiceError(
                "malformed-body",
                f"The form has more than {self._max_parts} parts, which {variable('max_batch')} "
                "and a few others allow.",
            )
        self._headers, self._data = {}, bytearray()

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise ServiceError("malformed-body", "A part of the form has no name.")
        name = options[b"name"].decode("utf-8", "replace")
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self.parts.append(Part(name, content_type, bytes(self._data)))

    def _finish(self) -> None:
        self.complete = True
