"""Memory that the API and the workers share: the rows of the requests that wait.

A row is written once, when it arrives, and the worker reads it in place. The file has no name, so
it disappears with the processes that have it open.
"""

import mmap
import os
from bisect import insort
from dataclasses import dataclass

from app.arrays import Buffer

_ALIGNMENT = 64
# An empty arena that has used more than this returns its pages to the system.
_RESIDENT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """A piece of the arena."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


class Arena:
    """A number of bytes, allocated in blocks, the lowest gap first."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.fd = os.memfd_create("zoo-rows")
        os.ftruncate(self.fd, capacity)
        self._memory = mmap.mmap(self.fd, capacity)
        self._blocks: list[Block] = []
        self._touched = 0

    @property
    def used(self) -> int:
        """Bytes in blocks that are not freed yet."""
        return sum(block.size for block in self._blocks)

    def put(self, data: Buffer) -> Block | None:
        """Copy data into a new block and return it, or None if no gap is large enough."""
        size = -(-len(data) // _ALIGNMENT) * _ALIGNMENT
        start = 0
        for block in self._blocks:
            if block.offset - start >= size:
                break
            start = block.end
        if start + size > self.capacity:
            return None
        new = Block(start, size)
        insort(self._blocks, new)
        self._memory[start : start + len(data)] = data
        self._touched = max(self._touched, new.end)
        return new

    def free(self, block: Block) -> None:
        """Free a block; nobody may read it any more."""
        self._blocks.remove(block)
        if not self._blocks and self._touched > _RESIDENT_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE, 0, self.capacity)
            self._touched = 0

    def close(self) -> None:
        """Free the memory."""
        self._memory.close()
        os.close(self.fd)
