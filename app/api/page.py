"""`/` and `/docs`: the page and the reference of the routes, which Vite builds from `page/`."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.http.negotiation import chosen_encoding
from app.http.openapi import TEXT, Responses
from app.http.problems import no_route
from app.http.ranges import lists_tag
from app.http.routing import needs

router = APIRouter(tags=["service"])

_BUILT = Path(__file__).resolve().parent.parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}
# Scripts only from files of ours: names in answers are a client's text. CodeMirror and the plots
# write style elements.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_NOT_BUILT = "The page was not built: run `make page`, and reload.\n"


_RESPONSES: Responses = {
    200: {"description": "A page, with an ETag.", "content": {"text/html": TEXT}},
    304: {"description": "If-None-Match names the page's ETag."},
}


class _File(NamedTuple):
    """A file of the page, plain and compressed."""

    media_type: str
    tag: str
    content: bytes
    compressed: bytes


@router.get(
    "/",
    operation_id="getPage",
    summary="Edit scopes, and see the network change",
    responses=_RESPONSES,
)
@needs("read", area="pages")
def read_page(request: Request) -> Response:
    """A page that uses the routes below. A link to it holds a build, or a whole spec."""
    return _html(request, "index.html")


@router.get(
    "/docs",
    operation_id="getDocs",
    summary="Describe the routes for people",
    responses=_RESPONSES,
)
@needs("read", area="pages")
def read_docs(request: Request) -> Response:
    """Routes, parameters, bodies and problems, with a form to try each route."""
    return _html(request, "docs.html")


@router.get("/assets/{name}", include_in_schema=False)
@needs("read", area="pages")
def read_asset(request: Request, name: str) -> Response:
    """A script, a style or a picture of the page; its name changes with its content."""
    if name not in _asset_names():
        raise no_route()
    return _answer(request, f"assets/{name}", "public, max-age=31536000, immutable")


def _html(request: Request, name: str) -> Response:
    if not (_BUILT / name).is_file():
        return HTMLResponse(_NOT_BUILT, headers={"Content-Security-Policy": _POLICY})
    return _answer(request, name, "no-cache")


def _answer(request: Request, name: str, caching: str) -> Response:
    path = _BUILT / name
    file = _read(path, path.stat().st_mtime_ns)
    headers = {
        # Weak, because it is of the content in either encoding.
        "ETag": f"W/{file.tag}",
        "Content-Security-Policy": _POLICY,
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
        "Referrer-Policy": "no-referrer",
    }
    if lists_tag(request.headers.get("if-none-match"), file.tag):
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.compressed and chosen_encoding(request.headers.get("accept-encoding", ""), ("gzip",)):
        headers["Content-Encoding"] = "gzip"
        content = file.compressed
    return Response(content, headers=headers, media_type=file.media_type)


def _asset_names() -> frozenset[str]:
    folder = _BUILT / "assets"
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


@lru_cache(maxsize=256)
def _read(path: Path, _modified_ns: int) -> _File:
    """Return a file, compressed once for as long as it does not change."""
    content = path.read_bytes()
    media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    is_picture = path.suffix in (".png", ".jpg")
    return _File(media_type, tag, content, b"" if is_picture else gzip.compress(content, 9))
