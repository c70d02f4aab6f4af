"""One HTTP/1.1 connection that never blocks: the least that a load generator needs.

The client shares the cores with what it measures, so a request is bytes that were made before, and
of an answer only the status and the end are looked for.
"""

import errno
import os
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

_RECEIVE_BYTES = 2**18
_CHUNKED = -1


@dataclass(slots=True)
class Answer:
    """What came back; status 0 is none, because the connection broke."""

    status: int
    body: bytes = b""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)  # all in small letters


class Connection:
    """A connection on which one request at a time is sent and answered; it is opened when needed.

    An answer may come before the request is sent: it is read, and the connection closed.
    """

    __slots__ = ("_address", "_epoll", "_head", "_received", "_sent", "_socket", "_to_send", "tag")

    def __init__(self, address: tuple[str, int], epoll: select.epoll) -> None:
        self._address = address
        self._epoll = epoll
        self._socket: socket.socket | None = None
        self._to_send: memoryview | None = None
        self._sent = 0
        self._received = bytearray()
        self._head: _Head | None = None
        # Whatever the user of the connection wants to find again.
        self.tag: float = 0.0

    @property
    def descriptor(self) -> int:
        """The number that epoll reports."""
        return -1 if self._socket is None else self._socket.fileno()

    def begin(self, request: bytes) -> None:
        """Start to send a request."""
        self._to_send, self._sent = memoryview(request), 0
        self._received.clear()
        self._head = None
        if self._socket is None:
            self._open()
        if not self._send():
            self._epoll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def go_on(self, events: int) -> Answer | None:
        """Send or receive, as epoll allows; return the answer when it is complete."""
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            answer = self._receive()
            if answer is not None:
                return answer
        if events & select.EPOLLOUT and self._to_send is not None and self._send():
            self._epoll.modify(self.descriptor, select.EPOLLIN)
        return None

    def close(self) -> None:
        """End the connection; the next request opens one."""
        if self._socket is not None:
            self._epoll.unregister(self.descriptor)
            self._socket.close()
            self._socket = None

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._socket.connect_ex(self._address)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
        self._epoll.register(self._socket.fileno(), select.EPOLLIN)

    def _send(self) -> bool:
        """Send as much as the socket takes; return whether all is sent."""
        assert self._socket is not None
        assert self._to_send is not None
        try:
            while self._sent < len(self._to_send):
                self._sent += self._socket.send(self._to_send[self._sent :])
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # Not connected yet; or closed by the server, whose answer is still to be read.
            if error.errno == errno.ENOTCONN:
                return False
            self._to_send = None
            return True
        self._to_send = None
        return True

    def _receive(self) -> Answer | None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self.close()
            return Answer(0)
        self._received += data
        if self._head is None:
            self._head = _Head.find(self._received)
        head = self._head
        body = head.body_of(self._received, is_closed=not data) if head else None
        if head is None or body is None:
            if data:
                return None
            self.close()
            return Answer(0)
        if head.closes or self._to_send is not None or not data:
            self.close()
        return Answer(head.status, body, head.headers)


@dataclass(slots=True)
class _Head:
    """The headers that say where an answer ends."""

    status: int
    headers: Mapping[bytes, bytes]
    length: int | None  # None: where the connection ends
    closes: bool
    start: int
    at: int  # how far the chunks were read

    @classmethod
    def find(cls, received: bytearray) -> "_Head | None":
        """Return the head once it is complete; one of 100 Continue is dropped."""
        while (end := received.find(b"\r\n\r\n")) >= 0:
            lines = bytes(received[:end]).lower().split(b"\r\n")
            status = int(lines[0].split(b" ")[1])
            if status == 100:
                del received[: end + 4]
                continue
            pairs = (line.split(b":", 1) for line in lines[1:])
            headers = {name: value.strip() for name, value in pairs}
            length = None
            if b"chunked" in headers.get(b"transfer-encoding", b""):
                length = _CHUNKED
            elif b"content-length" in headers:
                length = int(headers[b"content-length"])
            closes = b"close" in headers.get(b"connection", b"") or length is None
            return cls(status, headers, length, closes, end + 4, end + 4)
        return None

    def body_of(self, received: bytearray, *, is_closed: bool) -> bytes | None:
        """Return the body once it is complete."""
        if self.length is None:
            return bytes(received[self.start :]) if is_closed else None
        if self.length != _CHUNKED:
            end = self.start + self.length
            return bytes(received[self.start : end]) if len(received) >= end else None
        while (end := received.find(b"\r\n", self.at)) >= 0:
            size = int(received[self.at : end].split(b";")[0], 16)
            after = end + 2 + size + 2
            if len(received) < after:
                return None
            if size == 0:
                return self._joined(received)
            self.at = after
        return None

    def _joined(self, received: bytearray) -> bytes:
        at = self.start
        parts: list[bytes] = []
        while True:
            end = received.find(b"\r\n", at)
            size = int(received[at:end].split(b";")[0], 16)
            if size == 0:
                return b"".join(parts)
            parts.append(bytes(received[end + 2 : end + 2 + size]))
            at = end + 2 + size + 2


def ask(address: tuple[str, int], request: bytes, timeout_s: float = 300) -> Answer:
    """Send one request on a connection of its own and return the answer.

    Raises: TimeoutError, or OSError if there is nobody.
    """
    with select.epoll() as epoll:
        connection = Connection(address, epoll)
        try:
            connection.begin(request)
            while True:
                happened = epoll.poll(timeout_s)
                if not happened:
                    raise TimeoutError(f"No answer within {timeout_s:g} s.")
                for _, events in happened:
                    answer = connection.go_on(events)
                    if answer is not None:
                        return answer
        finally:
            connection.close()


def http_request(
    method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
