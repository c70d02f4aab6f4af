"""Files as they are sent: opened once, read in pieces, and readable until they are closed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

_CHUNK_BYTES = 2**18


class Content(Protocol):
    """An open file."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` to `stop`, each chunk read when it is asked for.

        Raises: StoreError, OSError.
        """

    def close(self) -> None:
        """Close it."""


class FileContent:
    """A file of the disk; open, it stays readable even if it is removed."""

    def __init__(self, path: Path) -> None:
        """Raises: FileNotFoundError."""
        self._stream = path.open("rb")
        self.size = self._stream.seek(0, 2)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """See `Content.chunks`."""
        await asyncio.to_thread(self._stream.seek, start)
        left = stop - start
        while left and (
            chunk := await asyncio.to_thread(self._stream.read, min(left, _CHUNK_BYTES))
        ):
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """See `Content.close`."""
        self._stream.close()
