"""`/v1/sweeps` and `/v1/sweeps/{id}`: trace a sweep; list, read and forget sweeps."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import BuildsDep, SettingsDep, SweepsDep
from app.api.sweeps.bodies import (
    RowCursor,
    RowLimit,
    next_page,
    page_of_rows,
    refuse_unused,
    stream,
)
from app.body_fields import BuildId, Links, Time
from app.http.access import changes_nothing
from app.http.bodies import read_document
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.negotiation import ROW_FORMATS, chosen_format, format_query
from app.http.openapi import BODY_PROBLEMS, COMPONENT, answer, problems
from app.http.paging import Cursor, PageLimit, page_of, read_cursor
from app.http.request_bodies import SWEEP
from app.http.routing import needs
from app.serving.sweep_progress import SweepWarningBody
from app.serving.sweeps import Sweeps, SweepState, SweepView
from app.store.sweeps import ListedSweep
from model_zoo import RowStatus, Sweep, SweepRowDocument

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])

# In this time a thousand rows are traced; of longer sweeps the answer says how far they are.
_WAIT_S = 10.0
_FORMATS = {name: ROW_FORMATS[name] for name in ("json", "ndjson")}


class _SweepHead(TypedDict):
    id: BuildId
    row_count: int
    counted: Annotated[
        str, Field(description="The number of rows as a product.", examples=["864 = 6 x 12 x 12"])
    ]
    places: Annotated[list[str], Field(description="What the axes set, in their order.")]


class SweepBody(_SweepHead):
    """A sweep: how far it is, and its first rows."""

    created: Time
    state: Annotated[
        SweepState,
        Field(description="stopped: not all rows are traced; posted again, it goes on."),
    ]
    reason: Annotated[str | None, Field(description="Why it stopped before the end.")]
    done: Annotated[int, Field(description="How many rows are traced.")]
    statuses: dict[RowStatus, int]
    warnings: Annotated[
        list[SweepWarningBody], Field(description="What builds are warned of, most rows first.")
    ]
    more_warnings: Annotated[int, Field(description="How often others came, which are not told.")]
    # A SweepRequest: the request, with saved scopes and globs resolved.
    sweep: Annotated[dict[str, JsonValue], WithJsonSchema({COMPONENT: "SweepRequest"})]
    rows: list[SweepRowDocument]
    next: Annotated[str | None, Field(description="The path of the next rows.")]
    links: Links


class PlannedRowBody(TypedDict):
    """A row that would be traced."""

    index: int
    values: dict[str, JsonValue]
    spec: dict[str, JsonValue]


class SweepPlanBody(_SweepHead):
    """What a sweep would do: nothing of it is kept."""

    rows: list[PlannedRowBody]
    next: Annotated[str | None, Field(description="Where to post for the next rows.")]


class SweepItemBody(TypedDict):
    """A sweep in a list."""

    id: BuildId
    created: Time
    row_count: int
    statuses: dict[RowStatus, int]
    links: Links


class SweepsBody(TypedDict):
    """One page of sweeps, and the path of the next page."""

    sweeps: list[SweepItemBody]
    next: str | None


@router.post(
    "",
    operation_id="createSweep",
    summary="Trace many builds that differ along axes",
    openapi_extra=SWEEP,
    responses={
        200: answer(
            "All rows are traced, or come as they are; or what a dry run lists.",
            SweepBody | SweepPlanBody,
            _FORMATS.values(),
        ),
        202: answer("Rows are still being traced.", SweepBody),
        **problems(
            *BODY_PROBLEMS,
            "malformed-json",
            "invalid-spec",
            "over-budget",
            "not-acceptable",
            "overloaded",
        ),
    },
)
@needs("build")
async def create_sweep(
    request: Request,
    settings: SettingsDep,
    builds: BuildsDep,
    sweeps: SweepsDep,
    dry_run: Annotated[
        bool, Query(description="List what would be traced, and trace and keep nothing.")
    ] = False,
    fail_fast: Annotated[bool, Query(description="Stop at the first row that is refused.")] = False,
    limit: RowLimit = 100,
    cursor: RowCursor = None,
    format: Annotated[str | None, format_query(_FORMATS)] = None,
) -> Response:
    """A row is traced, refused, a duplicate, or filtered by `where`; no row stops the others.

    The id is the digest of the sweep: posted again it goes on where it was, and rows whose build
    another sweep has traced cost nothing. As NDJSON the rows come as they are traced; if not all
    are, a last line has the state and the reason. As JSON the answer comes when all are traced, or
    after ten seconds.
    """
    formats = {"json": _FORMATS["json"]} if dry_run else _FORMATS
    format_name = chosen_format(request, format, formats)
    start = read_cursor(cursor) or 0
    if dry_run:
        changes_nothing(request)
        refuse_unused(request, ["fail_fast"], "with dry_run, which traces nothing")
    else:
        refuse_unused(request, ["cursor"], "without dry_run; the rows of a sweep have pages")
    if format_name == "ndjson":
        refuse_unused(request, ["limit"], "on NDJSON, which has all rows")
    body = await read_document(request, settings)
    read = await builds.posting.run(sweeps.read, body)
    if dry_run:
        return JsonAnswer(await builds.posting.run(_plan, read, start, limit))
    await sweeps.start(read, fail_fast=fail_fast)
    headers = {"Location": link(f"/v1/sweeps/{read.id}")}
    if format_name == "ndjson":
        headers["Sweep-Rows"] = read.rows_in_words
        rows = stream(sweeps, read.id)
        return StreamingResponse(rows, headers=headers, media_type=_FORMATS["ndjson"])
    await sweeps.wait(read.id, _WAIT_S)
    view = await asyncio.to_thread(sweeps.get, read.id)
    content = await asyncio.to_thread(_body, sweeps, view, limit)
    return JsonAnswer(content, 202 if view.state == "running" else 200, headers)


@router.get(
    "",
    operation_id="listSweeps",
    summary="List sweeps, the newest first",
    responses={200: answer("One page of sweeps.", SweepsBody)},
)
@needs("read")
async def list_sweeps(sweeps: SweepsDep, limit: PageLimit = 50, cursor: Cursor = None) -> Response:
    """Each item says how many rows came to what."""
    items = await asyncio.to_thread(sweeps.page, before=read_cursor(cursor), limit=limit + 1)
    page, next_items = page_of(items, limit, "/v1/sweeps")
    body: SweepsBody = {"sweeps": [_item(each) for each in page], "next": next_items}
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


@router.get(
    "/{sweep_id}",
    operation_id="getSweep",
    summary="Get a sweep, how far it is, and its first rows",
    responses={200: answer("The sweep.", SweepBody), **problems("unknown-sweep")},
)
@needs("read")
async def read_sweep(sweep_id: str, sweeps: SweepsDep, limit: RowLimit = 100) -> Response:
    """The answer says at once how far the sweep is."""
    view = await asyncio.to_thread(sweeps.get, sweep_id)
    content = await asyncio.to_thread(_body, sweeps, view, limit)
    return JsonAnswer(content, headers={"Cache-Control": "no-store"})


@router.delete(
    "/{sweep_id}",
    operation_id="deleteSweep",
    summary="End a sweep, and delete it and its rows",
    status_code=204,
    responses={204: {"description": "It is deleted."}, **problems("unknown-sweep")},
)
@needs("admin")
async def delete_sweep(sweep_id: str, sweeps: SweepsDep) -> Response:
    """Builds that were kept of its rows stay."""
    await sweeps.remove(sweep_id)
    return Response(status_code=204)


def _plan(read: Sweep, start: int, limit: int) -> SweepPlanBody:
    planned: Iterator[PlannedRowBody] = (
        {"index": number, "values": read.values(number), "spec": read.spec(number)}
        for number in range(start, read.rows)
    )
    rows = page_of_rows(planned, limit)
    path = next_page("/v1/sweeps", start + len(rows), read.rows, limit, dry_run="true")
    return {**_head(read), "rows": rows, "next": path}


def _head(read: Sweep) -> _SweepHead:
    return {
        "id": read.id,
        "row_count": read.rows,
        "counted": read.rows_in_words,
        "places": list(read.places),
    }


def _body(sweeps: Sweeps, view: SweepView, limit: int) -> SweepBody:
    stored, progress = view.stored, view.progress
    path = f"/v1/sweeps/{stored.id}"
    rows = page_of_rows(sweeps.rows(stored.id, 0, view.done), limit)
    return {
        **_head(view.sweep),
        "created": stored.created,
        "state": view.state,
        "reason": view.reason,
        "done": view.done,
        "statuses": progress.statuses,
        "warnings": progress.warnings,
        "more_warnings": progress.untold,
        "sweep": dict(view.sweep.document),
        "rows": rows,
        "next": next_page(f"{path}/rows", len(rows), view.done, limit),
        "links": {
            "self": link(path),
            "rows": link(f"{path}/rows"),
            "builds": link(f"{path}/builds"),
            "measurements": link(f"{path}/measurements"),
        },
    }


def _item(stored: ListedSweep) -> SweepItemBody:
    return {
        "id": stored.id,
        "created": stored.created,
        "row_count": stored.row_count,
        "statuses": stored.progress.get("statuses", {}),
        "links": {"self": link(f"/v1/sweeps/{stored.id}")},
    }
