"""uvicorn's fast HTTP/1.1 protocol with a limit on the head of a request, which it has not itself.

h11 has one, and takes three times as long for a body of megabytes.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The request line and all headers; h11's limit is the same.
MAX_HEAD_BYTES = 64 * 1024


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request has a head that is too long."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._is_in_head = True

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and count what belongs to a head that is not complete yet."""
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """End to count, and refuse what came in one piece."""
        self._is_in_head = False
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the head is too long")  # answered with 400
        super().on_headers_complete()
