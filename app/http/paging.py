"""Pages of listings, the newest item first: a cursor is the number of a page's last item."""

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Query

from app.http.problems import query_error

PageLimit = Annotated[int, Query(ge=1, le=200, description="Items in a page.")]
Cursor = Annotated[
    str | None, Query(description="Where to continue: `next` of the previous page has it.")
]


class Numbered(Protocol):
    """An item of a listing, by the order of its arrival."""

    @property
    def sequence(self) -> int:
        """A number that is never given twice."""


Item = TypeVar("Item", bound=Numbered)


def before_of(cursor: str | None) -> int | None:
    """Return the sequence that a page follows; None is the first page.

    Raises: ServiceError (invalid-query)
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
    """Return a page of the items from its start on, and the link to the next page if there is one.

    There is one if there are more items than the limit.
    """
    page = items[:limit]
    if len(items) <= limit:
        return page, None
    query = {name: value for name, value in filters.items() if value is not None}
    return page, f"{path}?{urlencode({'limit': limit, **query, 'cursor': page[-1].sequence})}"
