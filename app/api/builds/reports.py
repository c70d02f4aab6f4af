"""`/v1/builds/{id}/summary`, `/explanation` and `/scopes`: reports of a trace."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep
from app.http.exchange import timings
from app.http.json_answer import JsonAnswer
from app.http.negotiation import (
    REPORT_FORMATS,
    Writers,
    chosen_format,
    format_query,
    one_of,
    written,
)
from app.http.openapi import answer, problems
from app.http.routing import needs
from model_zoo import (
    ExplanationDocument,
    LayerScopeDocument,
    SummaryDocument,
    Trace,
    explanation_csv,
    filter_explanation,
)

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
@needs("read")
async def read_summary(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    format: Annotated[str | None, format_query(REPORT_FORMATS)] = None,
) -> Response:
    """The name, op, output shape, parameters, multiply-adds and bytes of each layer; the totals."""
    format_name = chosen_format(request, format, REPORT_FORMATS)
    return await builds.report(build_id, timings(request), _summarize, format_name)


def _summarize(traced: Trace, format_name: str) -> Response:
    summary = traced.summary()
    writers = {"json": summary.to_dict, "text": summary.to_text, "csv": summary.to_csv}
    return written(format_name, writers)


@router.get(
    "/{build_id}/explanation",
    operation_id="getBuildExplanation",
    summary="Explain every argument of every call",
    responses={
        200: answer("Calls and overrides.", ExplanationDocument, REPORT_FORMATS.values()),
        **problems("unknown-build", "not-acceptable"),
    },
)
@needs("read")
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
    format: Annotated[str | None, format_query(REPORT_FORMATS)] = None,
) -> Response:
    """For each argument: its value, who set it, and what it beat. For each override: where it won.

    In each filter `*` stands for any characters. An override's counts are of the whole network,
    whatever the filters. CSV has a row for each argument of each call, and no overrides.
    """
    format_name = chosen_format(request, format, REPORT_FORMATS)
    filters = {"layer": layer, "op": op, "argument": argument}
    return await builds.report(build_id, timings(request), _explain, filters, format_name)


def _explain(traced: Trace, filters: Mapping[str, str | None], format_name: str) -> Response:
    explanation = filter_explanation(traced.explanation(), **filters)
    writers: Writers = {
        "json": explanation.to_dict,
        "text": explanation.to_text,
        "csv": partial(explanation_csv, explanation),
    }
    return written(format_name, writers)


@router.get(
    "/{build_id}/scopes",
    operation_id="getBuildScopes",
    summary="Get the scope in force at a layer",
    responses={
        200: answer("Levels, and what no level can set.", LayerScopeDocument),
        **problems("unknown-build"),
    },
)
@needs("read")
async def read_scopes(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    layer: Annotated[str, Query(description="A layer, as the explanation shows it.")],
) -> Response:
    """All scopes merged where the layer was called: TF-Slim's `as arg_sc`.

    `PUT /v1/scopes/{name}` takes the answer as it is. Levels that were limited to some layers are
    there if they reach this one, and then for all; forced arguments are in forced levels.
    """
    return JsonAnswer(await builds.report(build_id, timings(request), _scope_at, layer))


def _scope_at(traced: Trace, layer: str) -> LayerScopeDocument:
    one_of("layer", layer, list(dict.fromkeys(call.place for call in traced.graph.calls)))
    return traced.scope_at(layer)
