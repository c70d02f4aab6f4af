"""`/v1/sweeps/{id}/rows`: the rows of a sweep, sorted, with the Pareto front, as tables."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, get_args

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import SweepsDep
from app.api.sweeps.bodies import RowCursor, RowLimit, lines, next_page, with_specs
from app.http.negotiation import ROW_FORMATS, chosen_format, format_query, one_of
from app.http.openapi import answer, problems
from app.http.paging import read_cursor
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
    objectives = () if pareto is None else read_objectives("pareto", pareto)
    statuses = () if status is None else _statuses(status)
    view = await asyncio.to_thread(sweeps.get, sweep_id)
    start = read_cursor(cursor) or 0

    def arranged() -> list[SweepRowDocument]:
        rows = arrange(
            sweeps.rows(sweep_id),
            view.sweep.places,
            sort=sort,
            objectives=objectives,
            include_dominated=include_dominated,
            statuses=statuses,
        )
        return with_specs(view.sweep, rows) if spec and format_name != "json" else rows

    if format_name != "json":
        content = await asyncio.to_thread(_table, arranged, view.sweep.places, format_name)
        return Response(content, media_type=ROW_FORMATS[format_name])
    if sort is None and not objectives and not statuses:
        page, count = await asyncio.to_thread(sweeps.rows, sweep_id, start, limit), view.done
    else:
        rows = await asyncio.to_thread(arranged)
        page, count = rows[start : start + limit], len(rows)
    query = {
        "sort": sort,
        "status": status,
        "pareto": pareto,
        "include_dominated": None if include_dominated else "false",
        "spec": "true" if spec else None,
    }
    body: SweepRowsBody = {
        "rows": with_specs(view.sweep, page) if spec else page,
        "count": count,
        "state": view.state,
        "next": next_page(f"/v1/sweeps/{sweep_id}/rows", start + len(page), count, limit, **query),
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _statuses(text: str) -> list[RowStatus]:
    return [one_of("status", each.strip(), get_args(RowStatus)) for each in text.split(",")]


def _table(
    rows: Callable[[], list[SweepRowDocument]], places: Sequence[str], format_name: str
) -> str | bytes:
    writers: dict[str, Callable[[list[SweepRowDocument]], str | bytes]] = {
        "ndjson": lines,
        "csv": lambda rows: sweep_csv(rows, places),
        "parquet": lambda rows: sweep_parquet(rows, places),
    }
    return writers[format_name](rows())
