"""Which of the files that can be made again make room for others: the least recently used."""

import contextlib
import stat
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

Name = TypeVar("Name")


class SizedFile(NamedTuple, Generic[Name]):
    """A file: what it is removed by, when it was last used, and its bytes."""

    name: Name
    used: float
    size: int


def sized(paths: Iterable[Path]) -> Iterator[SizedFile[Path]]:
    """Yield those of the paths that are files."""
    for path in paths:
        with contextlib.suppress(OSError):  # removed meanwhile
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield SizedFile(path, status.st_mtime_ns, status.st_size)


def evict(
    files: Iterable[SizedFile[Name]],
    max_bytes: int,
    remove: Callable[[Name], bool],
    keep: Name | None = None,
) -> None:
    """Remove files until the rest have no more bytes, but never `keep`.

    `remove` returns whether a file is gone.
    """
    oldest_first = sorted(files, key=attrgetter("used"))
    total = sum(file.size for file in oldest_first)
    for file in oldest_first:
        if total <= max_bytes:
            return
        if file.name != keep and remove(file.name):
            total -= file.size
