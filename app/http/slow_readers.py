"""Ends connections whose clients do not receive what is sent to them."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

# Looks within one timeout: a connection ends at most a fourth of it late.
_LOOKS = 4


class SlowReaderWatch:
    """Aborts a connection whose client receives nothing for too long.

    What counts is what the client's side has acknowledged. The size of the transport's buffer does
    not tell: the kernel takes megabytes at once from a line that carries kilobytes a second.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        timeout_s: float,
        is_held_up: Callable[[], bool],
    ) -> None:
        """Watch from `begin` on; unless `is_held_up`, the service may have written meanwhile."""
        self._loop = loop
        self._transport = transport
        self._timeout_s = timeout_s
        self._is_held_up = is_held_up
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._unsent = 0
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch until the transport's buffer is empty; the time starts anew."""
        self._unsent, self._since = self._count_unsent(), self._loop.time()
        if self._timer is None:
            self._wait()

    def end(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._timeout_s / _LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._transport.get_write_buffer_size():
            return
        unsent, now = self._count_unsent(), self._loop.time()
        if unsent < self._unsent or not self._is_held_up():
            self._unsent, self._since = unsent, now
        elif now - self._since >= self._timeout_s:
            # A reset: the kernel would go on offering what it holds, for minutes.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
            return
        self._wait()

    def _count_unsent(self) -> int:
        """Return the bytes that the client's side has not acknowledged."""
        queued = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        (in_kernel,) = struct.unpack("i", queued)
        return self._transport.get_write_buffer_size() + int(in_kernel)
