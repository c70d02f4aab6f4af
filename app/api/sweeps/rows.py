"""`/v1/sweeps/{id}/rows`: the rows of a sweep, sorted, with the Pareto front, as tables."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, get_args

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import SweepsDep
from app.api.sweeps.bodies import (
    RowCursor,
    RowLimit,
    next_page,
    page_of_rows,
    pieces,
    refuse_unused,
    with_specs,
)
from app.http.json_answer import JsonAnswer
from app.http.negotiation import ROW_FORMATS, chosen_format, format_query, one_of
from app.http.openapi import answer, problems
from app.http.paging import read_cursor
from app.http.routing import needs
from app.serving.sweeps import SweepState
from model_zoo import (
    RowStatus,
    SweepRowDocument,
    arrange,
    read_objectives,
    sweep_csv,
    sweep_parquet,
)

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])

_NAMES = {"ndjson": "NDJSON", "csv": "CSV", "parquet": "Parquet"}


class SweepRowsBody(TypedDict):
    """Some rows of a sweep, and the path of the next ones."""

    rows: list[SweepRowDocument]
    count: Annotated[int, Field(description="How many rows there are to see, on all pages.")]
    state: SweepState
    next: str | None


@router.get(
    "/{sweep_id}/rows",
    operation_id="listSweepRows",
    summary="List the rows of a sweep",
    responses={
        200: answer("The rows that are traced so far.", SweepRowsBody, ROW_FORMATS.values()),
        **problems("unknown-sweep", "not-acceptable"),
    },
)
@needs("read")
async def list_rows(
    request: Request,
    sweep_id: str,
    sweeps: SweepsDep,
    sort: Annotated[
        str | None,
        Query(
            description="`index`, a total, or a place that the axes set; `-` before it turns the "
            "order round.",
            examples=["-multiply_adds"],
        ),
    ] = None,
    status: Annotated[
        str | None, Query(description="Only rows of this status, or of several with commas.")
    ] = None,
    pareto: Annotated[
        str | None,
        Query(
            description="Mark the rows that no other beats in all of these totals.",
            examples=["parameters:minimize,multiply_adds:minimize"],
        ),
    ] = None,
    include_dominated: Annotated[
        bool, Query(description="With `pareto`: also the rows that are not on the front.")
    ] = True,
    spec: Annotated[
        bool, Query(description="Each row with its spec, as a build takes it.")
    ] = False,
    limit: RowLimit = 100,
    cursor: RowCursor = None,
    format: Annotated[str | None, format_query(ROW_FORMATS)] = None,
) -> Response:
    """As JSON the rows come in pages; as CSV, NDJSON and Parquet all at once.

    Refused rows are among them, each with the place in its spec and the rule.
    """
    format_name = chosen_format(request, format, ROW_FORMATS)
    if pareto is None:
        refuse_unused(request, ["include_dominated"], "without pareto")
    if format_name != "json":
        refuse_unused(request, ["limit", "cursor"], f"on {_NAMES[format_name]}, which has all rows")
    if spec and format_name in ("csv", "parquet"):
        refuse_unused(request, ["spec"], f"on {_NAMES[format_name]}, whose columns are values")
    objectives = () if pareto is None else read_objectives("pareto", pareto)
    statuses = () if status is None else _statuses(status)
    view = await asyncio.to_thread(sweeps.get, sweep_id)
    start = read_cursor(cursor) or 0
    places = view.sweep.places

    def arranged() -> Sequence[SweepRowDocument]:
        rows: list[SweepRowDocument] = arrange(
            sweeps.rows(sweep_id, 0, view.done),
            places,
            sort=sort,
            objectives=objectives,
            include_dominated=include_dominated,
            statuses=statuses,
        )
        return rows

    def specified(rows: Iterable[SweepRowDocument]) -> Iterable[SweepRowDocument]:
        return with_specs(view.sweep, rows) if spec else rows

    def page() -> tuple[list[SweepRowDocument], int]:
        if sort is None and not objectives and not statuses:
            return page_of_rows(
                specified(sweeps.rows(sweep_id, start, view.done)), limit
            ), view.done
        rows = arranged()
        return page_of_rows(specified(rows[start:]), limit), len(rows)

    if format_name != "json":
        rows = await asyncio.to_thread(arranged)
        media_type = ROW_FORMATS[format_name]
        if format_name == "ndjson":
            return StreamingResponse(pieces(specified(rows)), media_type=media_type)
        table = sweep_csv if format_name == "csv" else sweep_parquet
        return Response(await asyncio.to_thread(table, rows, places), media_type=media_type)
    shown, count = await asyncio.to_thread(page)
    query = {
        "sort": sort,
        "status": status,
        "pareto": pareto,
        "include_dominated": None if include_dominated else "false",
        "spec": "true" if spec else None,
    }
    path = f"/v1/sweeps/{sweep_id}/rows"
    body: SweepRowsBody = {
        "rows": shown,
        "count": count,
        "state": view.state,
        "next": next_page(path, start + len(shown), count, limit, **query),
    }
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


def _statuses(text: str) -> list[RowStatus]:
    return [one_of("status", each.strip(), get_args(RowStatus)) for each in text.split(",")]
