"""What the pages of other origins may do: nothing, or all if ZOO_CORS_ORIGINS lists the origin.

A page may send a `text/plain` body to any address without asking first, and a service on the user's
machine would read it as JSON. Browsers tell by `Sec-Fetch-Site` where a request comes from
(https://www.w3.org/TR/fetch-metadata/); other clients do not send it, and are not affected.
`same-site` is refused like `cross-site`: a site has no port, so that is any other service on the
same machine.

A page of a listed origin may send everything and read the answers. There are no cookies, so a
browser adds nothing of its own to what the page sends, and `*` is as safe as any page is.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ServiceError
from app.settings import variable

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_FOREIGN_SITES = ("cross-site", "same-site")

# Of the headers of answers, a page of another origin reads these and a few of every answer's.
EXPOSED = (
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Inference-Header-Content-Length",
    "Location",
    "Retry-After",
    "Server-Timing",
    "Sweep-Rows",
    "TraceResponse",
    "Warning",
    "WWW-Authenticate",
    "X-Request-ID",
)


def check_origin(method: str, site: str, origin: str = "", allowed: Sequence[str] = ()) -> None:
    """Raises: ServiceError (cross-site) if a page that may not wants to change something.

    `site` and `origin` are what the browser says in Sec-Fetch-Site and in Origin.
    """
    if site not in _FOREIGN_SITES or method in SAFE_METHODS:
        return
    if not allowed:
        raise ServiceError(
            "cross-site",
            f"A page of another origin sent this {method} (Sec-Fetch-Site: {site}); only pages of "
            "this service may.",
            received=site,
        )
    if "*" not in allowed and origin not in allowed:
        raise _refusal(f"this {method}", origin)


def _refusal(what: str, origin: str) -> ServiceError:
    return ServiceError(
        "cross-site",
        f"A page of another origin sent {what} (Origin: {origin or 'none'}); only pages of this "
        f"service and of {variable('cors_origins')} may.",
        received=origin,
    )


class _CrossOrigin(CORSMiddleware):
    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            origins,
            allow_methods=("*",),
            allow_headers=("*",),
            # A listed page on the internet may use a service on its visitor's own network.
            allow_private_network=True,
            expose_headers=EXPOSED,
        )


class CrossOriginHeaders(_CrossOrigin):
    """ASGI middleware that lets pages of listed origins read the answers.

    It stands around the envelope, so that problems have the headers as well.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            await self.simple_response(scope, receive, send, request_headers=headers)
        else:
            await self.app(scope, receive, send)


class Preflights(_CrossOrigin):
    """ASGI middleware that tells browsers what pages of listed origins may send.

    It stands in the envelope, so that these requests too have an id and a line in the log.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "origin" in headers and "access-control-request-method" in headers:
                origin = headers["origin"]
                if not self.is_allowed_origin(origin):
                    method = headers["access-control-request-method"]
                    raise _refusal(f"a preflight of {method}", origin)
                await self.preflight_response(headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)
