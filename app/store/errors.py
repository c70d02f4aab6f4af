"""Errors of the stores."""

import contextlib
from collections.abc import Iterator


class StoreError(Exception):
    """The store cannot be read or written; the message is fit for a client."""


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raise a StoreError for an error of the disk inside the block."""
    try:
        yield
    except OSError as error:
        raise disk_error(error) from error


def disk_error(error: OSError) -> StoreError:
    """Return an error of the disk in words fit for a client."""
    return StoreError(f"The disk reported an error: {error.strerror or 'I/O error'}.")
