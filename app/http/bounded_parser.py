"""uvicorn's fast HTTP/1.1 protocol with limits on the head of a request, which it has not itself.

h11 has one on its size, and takes two to three times as long for a body of megabytes.
"""

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line, all headers and all trailers; h11's limit on a head is the same.
MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 30.0

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request has a head, or trailers, that are too long or too slow.

    A wish to go over to another protocol is passed over, as HTTP lets a server do: the parser would
    take the body for that protocol.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._bytes_without_end = 0  # received since a line or a piece of a body was complete
        self._is_between = True
        self._has_body = False  # what is a header after it is a trailer
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a head, not forever."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; end the connection where it goes on without an end."""
        if self._is_between:
            head, end, body = data.partition(b"\r\n\r\n")
            data = b"".join((_UPGRADE.sub(b"", head + end[:2]), end[2:], body))
        self._bytes_without_end += len(data)
        super().data_received(data)
        if self._bytes_without_end > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._bytes_without_end = self._head_bytes = 0
        self._is_between = self._has_body = False
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or a trailer; trailers say nothing here."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        if not self._has_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on with the request."""
        self._stop_timer()
        self._has_body = True
        self._bytes_without_end = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, whose size is limited elsewhere."""
        self._bytes_without_end = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Let another request follow."""
        self._bytes_without_end = 0
        self._is_between = True
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._bytes_without_end = 0
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError(
                "the head is too long"
            )  # which the parser passes on; answered with 400

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, message: str) -> None:
        """Answer with 400, unless the answer to the request is on its way already."""
        cycle: Any = self.cycle  # none before the first request
        if cycle is not None and cycle.response_started:
            self.transport.close()
        else:
            self.send_400_response(message)

    def _unsupported_upgrade_warning(self) -> None:
        """Refuse an Upgrade that came in a later packet than the head began in."""
        self._refuse("This service takes no Upgrade.")
