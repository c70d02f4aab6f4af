"""Links in answers: paths of the service, below the prefix by which its clients reach it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_prefix: ContextVar[str] = ContextVar("prefix", default="")


def link(path: str) -> str:
    """Return the link to a path of the service, for the client of the request in progress."""
    return _prefix.get() + path


@contextmanager
def links_below(prefix: str) -> Iterator[None]:
    """Put a prefix (ZOO_ROOT_PATH) before the links that are made inside the block."""
    token = _prefix.set(prefix)
    try:
        yield
    finally:
        _prefix.reset(token)
