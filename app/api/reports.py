"""`/v1/builds/{id}/summary` and `/explanation`: what a trace tells without any numbers."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.builds import find_trace
from app.api.negotiate import chosen_format, one_of
from app.api.services import Shared
from app.envelope import timings
from model_zoo import Trace

router = APIRouter(prefix="/v1/builds/{build_id}", tags=["builds"])

_MEDIA_TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
_SUMMARY_FORMATS = _MEDIA_TYPES
_EXPLANATION_FORMATS = {name: _MEDIA_TYPES[name] for name in ("json", "text")}


def _format_query(formats: Mapping[str, str]) -> object:
    return Query(description="Instead of Accept.", json_schema_extra={"enum": list(formats)})


def _answer(description: str, formats: Mapping[str, str]) -> dict[int | str, dict[str, object]]:
    content: dict[str, object] = {
        media_type.partition(";")[0]: {} for media_type in formats.values()
    }
    return {
        200: {"description": description, "content": content},
        **schemas.problems("unknown-build", "not-acceptable"),
    }


@router.get(
    "/summary",
    summary="Summarize a build, layer by layer",
    responses=_answer("Layers and totals.", _SUMMARY_FORMATS),
)
async def read_summary(
    request: Request,
    build_id: str,
    services: Shared,
    format: Annotated[str | None, _format_query(_SUMMARY_FORMATS)] = None,
) -> Response:
    """Name, op, output shape, parameters, multiply-adds and bytes of each layer, and the totals."""
    chosen = chosen_format(request, format, _SUMMARY_FORMATS)
    traced = await find_trace(services, build_id, timings(request))
    return await asyncio.to_thread(_summarize, traced, chosen)


def _summarize(traced: Trace, chosen: str) -> Response:
    summary = traced.summary()
    if chosen == "json":
        return JSONResponse(summary.to_dict())
    text = summary.to_text() if chosen == "text" else summary.to_csv()
    return Response(text, media_type=_MEDIA_TYPES[chosen])


@router.get(
    "/explanation",
    summary="Explain every argument of every call",
    responses=_answer("Calls and overrides.", _EXPLANATION_FORMATS),
)
async def read_explanation(
    request: Request,
    build_id: str,
    services: Shared,
    layer: Annotated[
        str | None, Query(description="Only calls in this layer, or under this scope.")
    ] = None,
    op: Annotated[str | None, Query(description="Only calls and overrides of this op.")] = None,
    argument: Annotated[
        str | None, Query(description="Only this argument of the calls and overrides.")
    ] = None,
    format: Annotated[str | None, _format_query(_EXPLANATION_FORMATS)] = None,
) -> Response:
    """For each argument its value, who set it and what it beat; for each override its fate.

    An override counts the calls of the whole network, whatever the filters.
    """
    chosen = chosen_format(request, format, _EXPLANATION_FORMATS)
    traced = await find_trace(services, build_id, timings(request))
    return await asyncio.to_thread(_explain, traced, layer, op, argument, chosen)


def _explain(
    traced: Trace, layer: str | None, op: str | None, argument: str | None, chosen: str
) -> Response:
    found = traced.explanation()
    calls, overrides = found.calls, found.overrides
    if layer is not None:
        one_of("layer", layer, _scopes(call.layer for call in calls))
        calls = tuple(c for c in calls if c.layer == layer or c.layer.startswith(f"{layer}/"))
    if op is not None:
        one_of("op", op, sorted({call.op for call in calls}))
        calls = tuple(call for call in calls if call.op == op)
        overrides = tuple(override for override in overrides if override.op == op)
    if argument is not None:
        one_of("argument", argument, sorted({a.name for call in calls for a in call.arguments}))
        calls = tuple(
            replace(call, arguments=kept)
            for call in calls
            if (kept := tuple(a for a in call.arguments if a.name == argument))
        )
        overrides = tuple(override for override in overrides if override.argument == argument)
    found = replace(found, calls=calls, overrides=overrides)
    if chosen == "json":
        return JSONResponse(found.to_dict())
    return Response(found.to_text(), media_type=_MEDIA_TYPES[chosen])


def _scopes(layers: Iterable[str]) -> list[str]:
    """Return the layers and every scope that they stand in."""
    found: set[str] = set()
    for layer in layers:
        parts = layer.split("/")
        found.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return sorted(found)
