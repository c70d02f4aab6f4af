"""`/openapi.json`, and `/docs`: a page of our own that reads it, so that it works offline."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import ServiceError
from app.http import schemas
from app.http.foreign_problems import MEDIA_TYPE as FOREIGN_MEDIA_TYPE
from app.http.foreign_problems import foreign_status, is_foreign
from app.http.problems import MEDIA_TYPE, STATUSES

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
    summary="Describe the routes for programs",
    responses={200: schemas.answer("An OpenAPI 3.1 document.")},
)
async def read_openapi(request: Request) -> Response:
    """The document that /docs shows and that clients can be made from."""
    return JSONResponse(openapi_document(request.app))


@router.get(
    "/docs",
    summary="Describe the routes for people",
    responses={200: {"description": "A page.", "content": {"text/html": {}}}},
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


def openapi_document(app: Any) -> dict[str, Any]:
    """Return the framework's document with the bodies and problems that it does not know of."""
    document: dict[str, Any] = app.openapi()
    document["components"] = {"schemas": schemas.components()}
    # Written here and not at the route: the framework drops a null, which has a meaning in a spec.
    document["paths"]["/v1/builds"]["post"]["requestBody"] = schemas.SPEC_BODY
    # The framework's own 422 has another form than ours.
    ours = schemas.problems()[422]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            if foreign_status(422, method.upper(), path) != 422:
                responses.pop("422", None)
            elif MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
                responses["422"] = ours
            if is_foreign(path):
                operation["responses"] = {key: _foreign(each) for key, each in responses.items()}
    document["x-problems"] = [
        {"type": f"/docs#problem-{name}", "status": kind.status, "title": kind.title}
        for name, kind in STATUSES.items()
    ]
    return document


def _foreign(response: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's description with problems of the type that they have there."""
    content = response.get("content", {})
    if MEDIA_TYPE not in content:
        return response
    return {**response, "content": {FOREIGN_MEDIA_TYPE: content[MEDIA_TYPE]}}
