"""`/v1/builds/{id}/summary` and `/explanation`: reports of a trace."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep
from app.http.exchange import timings
from app.http.negotiation import (
    REPORT_FORMATS,
    TEXT_FORMATS,
    chosen_format,
    format_query,
    one_of,
    written,
)
from app.http.openapi import answer, problems
from model_zoo import ExplanationDocument, SummaryDocument, Trace

router = APIRouter(prefix="/v1/builds", tags=["builds"])


@router.get(
    "/{build_id}/summary",
    operation_id="getBuildSummary",
    summary="Summarize a build, layer by layer",
    responses={
        200: answer("Layers and totals.", SummaryDocument, REPORT_FORMATS.values()),
        **problems("unknown-build", "not-acceptable"),
    },
)
async def read_summary(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    format: Annotated[str | None, format_query(REPORT_FORMATS)] = None,
) -> Response:
    """The name, op, output shape, parameters, multiply-adds and bytes of each layer; the totals."""
    format_name = chosen_format(request, format, REPORT_FORMATS)
    traced = await builds.find_trace(build_id, timings(request))
    return await asyncio.to_thread(_summarize, traced, format_name)


def _summarize(traced: Trace, format_name: str) -> Response:
    summary = traced.summary()
    writers = {"json": summary.to_dict, "text": summary.to_text, "csv": summary.to_csv}
    return written(format_name, writers)


@router.get(
    "/{build_id}/explanation",
    operation_id="getBuildExplanation",
    summary="Explain every argument of every call",
    responses={
        200: answer("Calls and overrides.", ExplanationDocument, TEXT_FORMATS.values()),
        **problems("unknown-build", "not-acceptable"),
    },
)
async def read_explanation(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    layer: Annotated[
        str | None, Query(description="Only calls in this layer, or under this scope.")
    ] = None,
    op: Annotated[str | None, Query(description="Only calls and overrides of this op.")] = None,
    argument: Annotated[
        str | None, Query(description="Only this argument of the calls and overrides.")
    ] = None,
    format: Annotated[str | None, format_query(TEXT_FORMATS)] = None,
) -> Response:
    """For each argument: its value, who set it, and what it beat. For each override: where it won.

    An override's counts are of the whole network, whatever the filters.
    """
    format_name = chosen_format(request, format, TEXT_FORMATS)
    traced = await builds.find_trace(build_id, timings(request))
    explanation = await asyncio.to_thread(_explain, traced, layer, op, argument)
    writers = {"json": explanation.to_dict, "text": explanation.to_text}
    return await asyncio.to_thread(written, format_name, writers)


def _explain(traced: Trace, layer: str | None, op: str | None, argument: str | None) -> Any:
    explanation = traced.explanation()
    calls, overrides = explanation.calls, explanation.overrides
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
            replace(call, arguments=arguments)
            for call in calls
            if (arguments := tuple(a for a in call.arguments if a.name == argument))
        )
        overrides = tuple(override for override in overrides if override.argument == argument)
    return replace(explanation, calls=calls, overrides=overrides)


def _scopes(layers: Iterable[str]) -> list[str]:
    """Return the layers and every scope that they stand in."""
    scopes: set[str] = set()
    for layer in layers:
        parts = layer.split("/")
        scopes.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return sorted(scopes)
