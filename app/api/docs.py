"""`/openapi.json`, and `/docs`: a page of our own that reads it, so that it works offline."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import open_inference, tensorflow_serving
from app.errors import ServiceError
from app.http.openapi import TEXT, answer, finished, schemas_of, spec_schemas
from app.http.request_bodies import SPEC, Instances
from app.serving.model_registry import ModelRequest
from app.serving.sweeps import SweepRowNumbers

router = APIRouter(tags=["service"])

_STATIC = Path(__file__).resolve().parent.parent / "static"
_FILES = {
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
}
# Nothing inline and nothing from elsewhere: names in answers are a client's text.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get(
    "/openapi.json",
    operation_id="getOpenApi",
    summary="Describe the routes for programs",
    responses={200: answer("An OpenAPI 3.1 document.", dict[str, Any])},
)
async def read_openapi(request: Request) -> Response:
    """The document that /docs shows, and that client generators read."""
    return JSONResponse(openapi_document(request.app))


@router.get(
    "/docs",
    operation_id="getDocs",
    summary="Describe the routes for people",
    responses={200: {"description": "A page.", "content": {"text/html": TEXT}}},
)
async def read_docs() -> Response:
    """Routes, parameters, bodies and problems, with a form to try each route."""
    return _file("docs.html", "text/html; charset=utf-8")


@router.get("/docs/{name}", include_in_schema=False)
async def read_docs_file(name: str) -> Response:
    """The page's script and style."""
    if name not in _FILES:
        raise ServiceError("not-found", "No route has this path. /docs lists the routes.")
    return _file(name, _FILES[name])


def _file(name: str, media_type: str) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response((_STATIC / name).read_bytes(), headers=headers, media_type=media_type)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of the routes, made at the first request."""
    if app.openapi_schema is None:
        document = app.openapi()
        # Not at the route: the framework drops a null, which has a meaning in a spec.
        document["paths"]["/v1/builds"]["post"] |= SPEC
        requests = {
            "Naming": ModelRequest,
            "Instances": Instances,
            "SweepRowNumbers": SweepRowNumbers,
            **open_inference.REQUESTS,
            **tensorflow_serving.REQUESTS,
        }
        app.openapi_schema = finished(document, schemas_of(requests) | spec_schemas())
    return app.openapi_schema
