"""`/metrics`: numbers for Prometheus."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import MetricsDep
from app.http.negotiation import chosen_format
from app.http.openapi import TEXT, problems
from app.http.routing import needs
from app.telemetry.exposition import FORMATS

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Read the metrics, for Prometheus",
    responses={
        200: {
            "description": "Metrics as text, or as OpenMetrics if Accept prefers that.",
            "content": {"text/plain": TEXT, "application/openmetrics-text": TEXT},
        },
        **problems("not-acceptable"),
    },
)
@needs("read", area="metrics")
async def read_metrics(request: Request, metrics: MetricsDep) -> Response:
    """Answered even while the service is full. docs/observability.md lists the metrics."""
    format_name = chosen_format(request, None, FORMATS)
    return Response(
        await metrics.exposition.write(format_name),
        headers={"Content-Type": FORMATS[format_name], "Cache-Control": "no-store"},
    )
