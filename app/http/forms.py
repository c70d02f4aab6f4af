"""Parses `multipart/form-data` piece by piece, and passes the bytes of each part to a sink."""

import asyncio
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from app.errors import ServiceError
from app.http.exchange import held_body

Sink = Callable[[bytes], object]


class PartHeader(NamedTuple):
    """The header of a part; `file_name` is the client's text, not a safe path."""

    name: str
    content_type: str
    file_name: str | None


class FormReader:
    """Passes the bytes of each part to the sink that `open_part` returns for its header."""

    def __init__(
        self,
        content_type: str,
        open_part: Callable[[PartHeader], Sink],
        *,
        max_parts: int,
        limit_words: str,
    ) -> None:
        """Start a form; `limit_words` says in an error where `max_parts` comes from.

        Raises: ServiceError if the Content-Type has no boundary.
        """
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise ServiceError("malformed-body", "The form's Content-Type has no boundary.")
        self._open_part = open_part
        self._max_parts, self._limit_words = max_parts, limit_words
        self._count = 0
        self._complete = False
        self._headers: dict[bytes, bytes] = {}
        self._field = bytearray()
        self._value = bytearray()
        self._sink: Sink | None = None
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]  # declared as a TypedDict
        except (FormParserError, ValueError) as error:
            raise _malformed(error) from error

    def feed(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises: ServiceError if the form is malformed or has too many parts, and what a sink raises.
        """
        try:
            self._parser.write(data)
        except (FormParserError, ValueError) as error:
            raise _malformed(error) from error

    def finish(self) -> None:
        """Raises: ServiceError if the form is incomplete."""
        try:
            self._parser.finalize()
        except (FormParserError, ValueError) as error:
            raise _malformed(error) from error
        if not self._complete:
            raise ServiceError("malformed-body", "The form ends before its closing boundary.")

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > self._max_parts:
            raise ServiceError(
                "malformed-body",
                f"The form has more than {self._max_parts} parts; {self._limit_words}.",
            )
        self._headers = {}

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise ServiceError("malformed-body", "A part of the form has no name.")
        file_name = options.get(b"filename")
        self._sink = self._open_part(
            PartHeader(
                options[b"name"].decode("utf-8", "replace"),
                self._headers.get(b"content-type", b"").decode("latin-1"),
                None if file_name is None else file_name.decode("utf-8", "replace"),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._sink is not None  # the parser reports a part's headers before its data
        self._sink(data[start:end])

    def _finish(self) -> None:
        self._complete = True


def _malformed(error: Exception) -> ServiceError:
    malformed = ServiceError("malformed-body", "The form is not well-formed.")
    malformed.__cause__ = error
    return malformed


class Part(NamedTuple):
    """One part of a form, held in memory."""

    name: str
    content_type: str
    data: bytes


async def read_parts(
    request: Request, body: bytes, *, max_parts: int, limit_words: str
) -> Sequence[Part]:
    """Return the parts of a body that is a form.

    Raises: ServiceError, as `parse_form` does; if there is no room for the parts beside the body.
    """
    content_type = request.headers.get("content-type", "")
    with held_body(request).copied(len(body)):
        return await asyncio.to_thread(
            parse_form, body, content_type, max_parts=max_parts, limit_words=limit_words
        )


def parse_form(
    data: bytes, content_type: str, *, max_parts: int, limit_words: str
) -> Sequence[Part]:
    """Return the parts of a `multipart/form-data` body.

    Raises: ServiceError if it is malformed or has too many parts.
    """
    parts: list[tuple[PartHeader, io.BytesIO]] = []  # it gives its bytes away without a copy

    def open_part(header: PartHeader) -> Sink:
        parts.append((header, io.BytesIO()))
        return parts[-1][1].write

    reader = FormReader(content_type, open_part, max_parts=max_parts, limit_words=limit_words)
    reader.feed(data)
    reader.finish()
    return [Part(header.name, header.content_type, content.getvalue()) for header, content in parts]
