"""Cursors of listings: the number of the last item of the page before."""

from app.problems import query_error


def before_of(cursor: str | None) -> int | None:
    """Return the sequence that a page goes on from; None is the first page.

    Raises: ServiceError
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        message = "Query parameter cursor must be taken from the `next` of another page."
        raise query_error("cursor", message, cursor, None)
    return int(cursor)
