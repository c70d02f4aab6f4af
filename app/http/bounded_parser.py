"""uvicorn's httptools protocol, with the limits on connections that it lacks.

h11 limits the size of a head, but takes about twice as long for a body of megabytes
(docs/decisions/0013).
"""

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import ServiceError
from app.http.links import links_below
from app.http.problems import problem_response
from app.http.root_path import without_prefix
from app.http.slow_readers import SlowReaderWatch
from app.telemetry.trace_context import random_id

# The request line, headers and trailers together; h11 has the same limit.
MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 30.0
# Of a body that is refused, discarded so that its client gets to the answer: more than all the
# buffers between hold.
_DISCARDED_BYTES = 16 * 2**20
# Of so many clients at once. A flood of them is cut off, as it would take the service's memory.
_MOST_REFUSED = 8
# Between two looks whether a client that sends no more is there to receive the answer.
_PRESENCE_S = 1.0

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)


class _AnsweringTransport:
    """What a request in progress does with its transport."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request has a head or trailers that are too long or too slow.

    The same happens if the client does not receive the answer. A client that closes its sending
    side after a request gets the answer, and so does one that still sends a body that is refused.

    `Upgrade` headers are removed before parsing, since HTTP lets a server ignore them: the parser
    would take the body for data of the other protocol.
    """

    # The connections, of all that there are, on which the rest of a refused body arrives.
    _refused: ClassVar[set["BoundedHttpProtocol"]] = set()

    def __init__(
        self, *args: Any, write_timeout_s: float, root_path: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.url = b""
        self._prefix = root_path
        self._write_timeout_s = write_timeout_s
        self._head_bytes = 0
        self._bytes_without_end = 0  # since the last complete line or piece of a body
        self._is_between_requests = True
        self._has_headers = False  # complete: header lines that follow are trailers
        self._head_timer: asyncio.TimerHandle | None = None
        self._presence_timer: asyncio.TimerHandle | None = None
        self._has_asked = False  # whether the client is there
        self._running: Any = None  # the cycle of the request in progress; `cycle` is the last one

    def connection_made(self, transport: Any) -> None:
        """Start the timer of the first head."""
        super().connection_made(transport)
        self._answering = _AnsweringTransport(transport, self._close_answered)
        self._slow_reader = SlowReaderWatch(
            self.loop, transport, self._write_timeout_s, self._is_held_up
        )
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._refused.discard(self)
        self._stop_timer()
        self._slow_reader.end()
        if self._presence_timer is not None:
            self._presence_timer.cancel()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        cycle.transport = self._answering
        super()._start_asgi_task(cycle, app)

    def _close_answered(self) -> None:
        """Close the connection, but not before its client can have received the answer.

        Closed with bytes that nobody has read, it would be reset, and the answer be lost: a proxy
        would say 502. It closes when the client has, or when no request comes for as long as
        another may take.
        """
        cycle = self._running
        is_refused = cycle.response_complete and cycle.more_body
        if is_refused and len(self._refused) < _MOST_REFUSED and self.transport.can_write_eof():
            self._refused.add(self)
            self._bytes_without_end = 0
            self.transport.write_eof()
        else:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps it open
        """Keep the connection open for the answer to a request that arrived whole."""
        cycle: Any = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        if self._presence_timer is None:
            self._presence_timer = self.loop.call_later(_PRESENCE_S, self._ask_for_client)
        return True

    def pause_writing(self) -> None:
        """Watch whether the client receives what waits."""
        self._slow_reader.begin()
        super().pause_writing()

    def on_response_complete(self) -> None:
        """Watch whether the client receives the rest, for which no request waits."""
        is_lost = self.parser is None  # uvloop's transport then raises, also if asked for its size
        if not is_lost and self.transport.get_write_buffer_size():
            self._slow_reader.begin()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes; reject a head that grows beyond the limit within one line."""
        if self in self._refused:
            self._bytes_without_end += len(data)
            if self._bytes_without_end > _DISCARDED_BYTES:
                self.transport.close()
            return
        if self._is_between_requests:
            blank = data.find(b"\r\n\r\n")
            # To the end of the last header's line, which the pattern looks ahead to.
            end = blank + 2 if blank >= 0 else len(data)
            if _UPGRADE.search(data, 0, end):
                data = _UPGRADE.sub(b"", data[:end]) + data[end:]
        self._bytes_without_end += len(data)
        super().data_received(data)
        if self._bytes_without_end > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request exceeds {MAX_HEAD_BYTES} bytes.")

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
        self._has_headers = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem, or only close the connection if a response has started."""
        cycle: Any = self.cycle  # None before the first request
        is_last_answered = cycle is None or (cycle.response_complete and not self._has_headers)
        if not is_last_answered and cycle.response_started:
            self.transport.close()
            return
        request_id = random_id(128)
        path = without_prefix(self.url.decode("latin-1").partition("?")[0], self._prefix)
        with links_below(self._prefix):
            response = problem_response(
                ServiceError("malformed-http", msg), {"request_id": request_id}, "", path
            )
        headers = [
            *self.server_state.default_headers,
            *response.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers)]
        self.transport.write(b"\r\n".join((*lines, b"", bytes(response.body))))
        self.transport.close()

    def abort_response(self) -> None:
        """Abort the connection if a response on it cannot end well any more.

        It has begun, or the client does not receive what comes before it. A request without a
        response still gets one.
        """
        cycle = self._running
        is_begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if is_begun or self.flow.write_paused:
            self.transport.abort()

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

    def _is_held_up(self) -> bool:
        """Return whether the service writes no more until the client has received some."""
        cycle: Any = self.cycle
        return self.flow.write_paused or cycle is None or bool(cycle.response_complete)

    def _ask_for_client(self) -> None:
        """Abort the connection if the client has closed it whole, and not only its sending side.

        Both look the same until something is sent, which only a client that is gone resets. A 100
        is something that any client of HTTP 1.1 passes over.
        """
        stream: socket.socket = self.transport.get_extra_info("socket")
        if stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
            return
        cycle: Any = self.cycle
        if not (self._has_asked or cycle.response_started or self.pipeline):
            self._has_asked = True
            if cycle.scope["http_version"] == "1.1":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._presence_timer = self.loop.call_later(_PRESENCE_S, self._ask_for_client)

    def _unsupported_upgrade_warning(self) -> None:
        """Reject an Upgrade header that arrived in a later packet than the start of the head."""
        self.send_400_response("The service does not support Upgrade.")
