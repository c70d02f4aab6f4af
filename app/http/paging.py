"""Pages of a listing, newest first; a cursor is the sequence number of a page's last item."""

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Query

from app.http.links import link
from app.http.problems import query_error

PageLimit = Annotated[int, Query(ge=1, le=200, description="Largest number of items on a page.")]
Cursor = Annotated[
    str | None, Query(description="Where to continue; taken from `next` of the previous page.")
]


class ListedItem(Protocol):
    """An item of a listing, numbered in the order of arrival."""

    @property
    def sequence(self) -> int:
        """A number that is never reused."""


Item = TypeVar("Item", bound=ListedItem)


def read_cursor(cursor: str | None) -> int | None:
    """Return the sequence number that a page follows, or None for the first page.

    Raises: ServiceError (invalid-query) if the cursor is not a number.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        message = "Query parameter cursor must be taken from the `next` of another page."
        raise query_error("cursor", message, cursor, None)
    return int(cursor)


def page_of(
    items: Sequence[Item], limit: int, path: str, **filters: str | None
) -> tuple[Sequence[Item], str | None]:
    """Return the page that the items start with, and the link to the next page or None.

    There is a next page if there are more items than the limit, so pass at least one more.
    """
    page = items[:limit]
    if len(items) <= limit:
        return page, None
    query = {name: value for name, value in filters.items() if value is not None}
    after = urlencode({"limit": limit, **query, "cursor": page[-1].sequence})
    return page, link(f"{path}?{after}")
