"""What the routes of sweeps share: pages of rows, and rows line by line."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query

from app.serving.sweeps import Sweeps
from model_zoo import Sweep, SweepRowDocument

RowLimit = Annotated[int, Query(ge=1, le=1000, description="Largest number of rows.")]
RowCursor = Annotated[
    str | None, Query(description="Where to continue; taken from `next` of the rows before.")
]


def next_page(path: str, stop: int, count: int, limit: int, **query: str | None) -> str | None:
    """Return the path of the rows after those up to `stop`, or None if there are none."""
    if stop >= count:
        return None
    parameters = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode({**parameters, 'limit': limit, 'cursor': stop})}"


def with_specs(sweep: Sweep, rows: Iterable[SweepRowDocument]) -> list[SweepRowDocument]:
    """Return rows with their specs: what POST /v1/builds takes."""
    return [{**row, "spec": sweep.spec(row["index"])} for row in rows]


def lines(rows: Iterable[SweepRowDocument]) -> str:
    """Return rows as NDJSON, one a line."""
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


async def stream(sweeps: Sweeps, sweep_id: str) -> AsyncIterator[str]:
    """Yield the rows of a sweep as NDJSON as they are traced; if they are not all, say so last."""
    async for rows in sweeps.follow(sweep_id):
        yield lines(rows)
    view = await asyncio.to_thread(sweeps.get, sweep_id)
    if view.state != "done":
        yield json.dumps({"state": view.state, "reason": view.reason, "done": view.done}) + "\n"
