"""uvicorn's httptools protocol, with the limits on a request's head that it lacks.

h11 limits the size of a head, but takes about twice as long for a body of megabytes
(docs/decisions/0013).
"""

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line, headers and trailers together; h11 has the same limit.
MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 30.0

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request has a head or trailers that are too long or too slow.

    `Upgrade` headers are removed before parsing, since HTTP lets a server ignore them: the parser
    would take the body for data of the other protocol.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._bytes_without_end = 0  # since the last complete line or piece of a body
        self._is_between_requests = True
        self._has_headers = False  # complete: header lines that follow are trailers
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the timer of the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes; reject a head that grows beyond the limit within one line."""
        if self._is_between_requests:
            # `end[:2]` completes the last header's line, which the pattern looks ahead to.
            head, end, body = data.partition(b"\r\n\r\n")
            data = b"".join((_UPGRADE.sub(b"", head + end[:2]), end[2:], body))
        self._bytes_without_end += len(data)
        super().data_received(data)
        if self._bytes_without_end > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(f"The head of the request exceeds {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Reset the counters, and start the timer unless it runs already."""
        super().on_message_begin()
        self._bytes_without_end = self._head_bytes = 0
        self._is_between_requests = self._has_headers = False
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Count a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or trailer; trailers are dropped, so that none passes for a header."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        if not self._has_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the timer and start the request."""
        self._stop_timer()
        self._has_headers = True
        self._bytes_without_end = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body; its size is limited elsewhere."""
        self._bytes_without_end = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Prepare for the next request on the connection."""
        self._bytes_without_end = 0
        self._is_between_requests = True
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._bytes_without_end = 0
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            # The parser passes the error on, and uvicorn answers with 400.
            raise ValueError("the head is too long")

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._close_late_head)

    def _close_late_head(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, message: str) -> None:
        """Answer with 400, or only close the connection if a response has started."""
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and cycle.response_started:
            self.transport.close()
        else:
            self.send_400_response(message)

    def _unsupported_upgrade_warning(self) -> None:
        """Reject an Upgrade header that arrived in a later packet than the start of the head."""
        self._refuse("The service does not support Upgrade.")
