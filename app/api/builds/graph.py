"""`/v1/builds/{id}/graph`: the network as a graph, for a page, Graphviz or Model Explorer."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep
from app.http.exchange import timings
from app.http.negotiation import (
    GRAPH_FORMATS,
    Writers,
    chosen_format,
    format_query,
    one_of,
    written,
)
from app.http.openapi import answer, problems
from app.http.problems import query_error
from app.http.routing import needs
from app.telemetry.timings import Timings
from model_zoo import (
    NODE_METRICS,
    GraphDocument,
    ModelExplorerDocument,
    NodeDataDocument,
    NodeMetric,
    Trace,
)

router = APIRouter(prefix="/v1/builds", tags=["builds"])

_DEFAULT_METRIC = NODE_METRICS[0]


@dataclass(frozen=True, slots=True)
class GraphQuery:
    """The query of a graph."""

    depth: Annotated[
        int | None,
        Query(ge=1, description="Draw each scope that is this deep as one node; 1 is the top."),
    ] = None
    metric: Annotated[
        str | None,
        Query(
            description=f"The figure of format node-data; by default {_DEFAULT_METRIC}.",
            json_schema_extra={"enum": list(NODE_METRICS)},
        ),
    ] = None
    format: Annotated[str | None, format_query(GRAPH_FORMATS)] = None


@router.get(
    "/{build_id}/graph",
    operation_id="getBuildGraph",
    summary="Get a build's graph",
    responses={
        200: answer(
            "Nodes, edges, layers and scopes.",
            GraphDocument,
            GRAPH_FORMATS.values(),
            {
                GRAPH_FORMATS["model-explorer"]: ModelExplorerDocument,
                GRAPH_FORMATS["node-data"]: NodeDataDocument,
            },
        ),
        **problems("unknown-build", "not-acceptable"),
    },
)
@needs("read")
async def read_graph(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    query: Annotated[GraphQuery, Depends()],
) -> Response:
    """What computes what from what, in which scopes, and who set each argument of each layer.

    `dot` is for Graphviz, `model-explorer` a file for Google's Model Explorer, and `node-data` one
    with a figure of each node, which it lays over the graph.
    """
    format_name = chosen_format(request, query.format, GRAPH_FORMATS)
    if query.metric is not None and format_name != "node-data":
        message = f"Query parameter metric is of format node-data; the format is {format_name}."
        raise query_error("metric", message, query.metric, None)
    metric = one_of("metric", query.metric or _DEFAULT_METRIC, NODE_METRICS)
    timing = timings(request)
    return await builds.report(build_id, timing, _graph, query.depth, metric, format_name, timing)


def _graph(
    traced: Trace, depth: int | None, metric: NodeMetric, format_name: str, timing: Timings
) -> Response:
    with timing.measure("graph"):
        report = traced.graph_report(depth)
        writers: Writers = {
            "json": report.to_dict,
            "dot": report.to_dot,
            "model-explorer": report.to_model_explorer,
            "node-data": partial(report.to_node_data, metric),
        }
        return written(format_name, writers)
