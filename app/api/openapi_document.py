"""`/openapi.json`: the routes, for programs."""

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.api import open_inference, tensorflow_serving
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer, finished, schemas_of, spec_schemas
from app.http.openapi_examples import add_parameter_examples
from app.http.request_bodies import SPEC, Instances
from app.http.routing import needs
from app.serving.model_registry import ModelRequest
from app.serving.sweeps import SweepRowNumbers

router = APIRouter(tags=["service"])


@router.get(
    "/openapi.json",
    operation_id="getOpenApi",
    summary="Describe the routes for programs",
    responses={200: answer("An OpenAPI 3.1 document.", dict[str, Any])},
)
@needs("read", area="pages")
async def read_openapi(request: Request) -> Response:
    """The document that /docs shows, and that client generators read."""
    return JsonAnswer(openapi_document(request.app))


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of the routes, made at the first request."""
    if app.openapi_schema is None:
        document = app.openapi()
        # Not at the route: the framework drops a null, which has a meaning in a spec.
        document["paths"]["/v1/builds"]["post"] |= SPEC
        add_parameter_examples(document["paths"])
        requests = {
            "Naming": ModelRequest,
            "Instances": Instances,
            "SweepRowNumbers": SweepRowNumbers,
            **open_inference.REQUESTS,
            **tensorflow_serving.REQUESTS,
        }
        schemas = schemas_of(requests) | spec_schemas()
        app.openapi_schema = finished(document, schemas, app.state.security)
    return app.openapi_schema
