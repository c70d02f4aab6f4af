"""What the routes of sweeps share: pages of rows, and rows line by line."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Query
from starlette.requests import Request

from app.errors import ServiceError
from app.http.links import link
from app.http.problems import query_error
from app.serving.sweeps import Sweeps
from app.store.errors import StoreError
from model_zoo import Sweep, SweepRowDocument

RowLimit = Annotated[int, Query(ge=1, le=1000, description="Largest number of rows.")]
RowCursor = Annotated[
    str | None, Query(description="Where to continue; taken from `next` of the rows before.")
]

# Of JSON in a page: a row repeats what its axes set, and with its spec the whole base.
_PAGE_BYTES = 2**20
_PIECE_CHARACTERS = 2**16

Row = TypeVar("Row")


def refuse_unused(request: Request, names: Iterable[str], when: str) -> None:
    """Raises: ServiceError (invalid-query) for a parameter that would silently do nothing."""
    for name in names:
        if name in request.query_params:
            received = request.query_params[name]
            message = f"Query parameter {name} has no effect {when}."
            raise query_error(name, message, received, None)


def page_of_rows(rows: Iterable[Row], limit: int) -> list[Row]:
    """Return the first rows, as many as a page takes: at least one, if there is any."""
    page: list[Row] = []
    size = 0
    for row in rows:
        size += len(json.dumps(row))
        if page and size > _PAGE_BYTES:
            break
        page.append(row)
        if len(page) == limit:
            break
    return page


def next_page(path: str, stop: int, count: int, limit: int, **query: str | None) -> str | None:
    """Return the path of the rows after those up to `stop`, or None if there are none."""
    if stop >= count:
        return None
    parameters = {name: value for name, value in query.items() if value is not None}
    return link(f"{path}?{urlencode({**parameters, 'limit': limit, 'cursor': stop})}")


def with_specs(sweep: Sweep, rows: Iterable[SweepRowDocument]) -> Iterator[SweepRowDocument]:
    """Yield rows with their specs: what POST /v1/builds takes."""
    for row in rows:
        yield {**row, "spec": sweep.spec(row["index"])}


def line(row: Any) -> str:
    """Return a row as NDJSON."""
    return json.dumps(row, separators=(",", ":")) + "\n"


def pieces(rows: Iterable[SweepRowDocument]) -> Iterator[str]:
    """Yield rows as NDJSON, some lines at a time."""
    piece = ""
    for row in rows:
        piece += line(row)
        if len(piece) >= _PIECE_CHARACTERS:
            yield piece
            piece = ""
    yield piece


async def stream(sweeps: Sweeps, sweep_id: str) -> AsyncIterator[str]:
    """Yield the rows of a sweep as NDJSON as they are traced; if they are not all, say so last."""
    count = 0
    try:
        while True:
            async for rows in sweeps.follow(sweep_id, count):
                yield "".join(map(line, rows))
                count += len(rows)
            view = await asyncio.to_thread(sweeps.get, sweep_id)
            # Posted again just when it ended, it goes on.
            if view.state != "running" and count >= view.done:
                break
        if view.state != "done":
            yield line({"state": view.state, "reason": view.reason, "done": count})
    except ServiceError:
        yield line({"state": "stopped", "reason": "The sweep was deleted.", "done": count})
    except StoreError as error:
        yield line({"state": "stopped", "reason": str(error), "done": count})
