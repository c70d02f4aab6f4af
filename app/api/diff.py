"""`/v1/builds/{a}/diff/{b}` and `/v1/diff`: what differs between two builds, or two specs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep, ModelsDep, SettingsDep
from app.builds import Builds
from app.http.bodies import read_document
from app.http.exchange import timings
from app.http.negotiation import DIFF_FORMATS, Writers, chosen_format, format_query, written
from app.http.openapi import BODY_PROBLEMS, SPEC_PROBLEMS, answer, problems
from app.http.request_bodies import TWO_SPECS
from app.http.routing import needs
from app.telemetry.timings import Timings
from model_zoo import DiffDocument, SpecDocument, Trace, diff

router = APIRouter(prefix="/v1", tags=["diffs"])

_DIFF = answer("What differs, from a to b.", DiffDocument, DIFF_FORMATS.values())
_Side = Annotated[str, Path(description="The id of a build, or the name of a model.")]


@dataclass(frozen=True, slots=True)
class DiffQuery:
    """The query of a diff."""

    argument: Annotated[
        str | None,
        Query(description="Only settings of this argument; `*` stands for any characters."),
    ] = None
    same: Annotated[
        bool, Query(description="Also list the layers, edges and settings that are the same.")
    ] = False
    format: Annotated[str | None, format_query(DIFF_FORMATS)] = None


@router.get(
    "/builds/{a}/diff/{b}",
    operation_id="diffBuilds",
    summary="Compare two builds",
    responses={
        200: _DIFF,
        **problems("unknown-build", "unknown-model", "not-acceptable"),
    },
)
@needs("read")
async def diff_builds(
    request: Request,
    a: _Side,
    b: _Side,
    builds: BuildsDep,
    models: ModelsDep,
    query: Annotated[DiffQuery, Depends()],
) -> Response:
    """Specs, totals, layers, edges, and for each argument that differs: who set it on both sides.

    A name is that of a model's highest version.
    """
    format_name = chosen_format(request, query.format, DIFF_FORMATS)
    timing = timings(request)
    ids = [models.find_build_id(name) for name in (a, b)]
    specs = [(await builds.find(build_id)).spec for build_id in ids]
    return await builds.reading.run(_diff_stored, builds, specs, query, format_name, timing)


def _diff_stored(
    builds: Builds,
    specs: Sequence[SpecDocument],
    query: DiffQuery,
    format_name: str,
    timing: Timings,
) -> Response:
    with timing.measure("trace"):
        traces = [builds.trace_stored(spec) for spec in specs]
    return _diff(traces, query, format_name, timing)


@router.post(
    "/diff",
    operation_id="diffSpecs",
    summary="Compare two specs",
    openapi_extra=TWO_SPECS,
    responses={
        200: _DIFF,
        **problems(*BODY_PROBLEMS, *SPEC_PROBLEMS, "not-acceptable"),
    },
)
@needs("build", changes=False)
async def diff_specs(
    request: Request,
    builds: BuildsDep,
    settings: SettingsDep,
    query: Annotated[DiffQuery, Depends()],
) -> Response:
    """As of two builds; nothing is kept."""
    format_name = chosen_format(request, query.format, DIFF_FORMATS)
    body = await read_document(request, settings)
    return await builds.posting.run(_diff_body, builds, body, query, format_name, timings(request))


def _diff_body(
    builds: Builds, body: bytes, query: DiffQuery, format_name: str, timing: Timings
) -> Response:
    return _diff(builds.trace_pair(body, timing), query, format_name, timing)


def _diff(traces: Sequence[Trace], query: DiffQuery, format_name: str, timing: Timings) -> Response:
    a, b = traces
    with timing.measure("diff"):
        result = diff(a, b, argument=query.argument, same=query.same)
        writers: Writers = {
            "json": result.to_dict,
            "text": result.to_text,
            "csv": result.to_csv,
            "dot": result.to_dot,
        }
        return written(format_name, writers)
