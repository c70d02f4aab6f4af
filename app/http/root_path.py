"""A prefix of all paths, for a service behind a proxy (ZOO_ROOT_PATH).

A proxy may strip the prefix or pass it on; nobody has to say which. No path of the service begins
with the prefix, so a path that does has it taken off, and the rest of the service never sees it:
its routes, its limits and its log are about its own paths. Probes need no prefix. Only links have
it, since clients follow them through the proxy.

Starlette's `root_path` is not used: what tests a path here, such as the admission, would have to
know of it as well.
"""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.links import links_below


class RootPath:
    """ASGI middleware that takes the prefix off paths, and puts it before links."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._prefix and scope["method"] in ("GET", "HEAD"):
            # The page's own links are relative, and need the slash.
            query = scope["query_string"].decode("latin-1")
            url = f"{path}/?{query}" if query else f"{path}/"
            await RedirectResponse(url, 308)(scope, receive, send)
            return
        raw = scope.get("raw_path") or path.encode()
        inner = {
            **scope,
            "path": without_prefix(path, self._prefix),
            "raw_path": without_prefix(raw.decode("latin-1"), self._prefix).encode("latin-1"),
        }
        with links_below(self._prefix):
            await self._app(inner, receive, send)


def without_prefix(path: str, prefix: str) -> str:
    """Return a path as a proxy that strips the prefix would send it.

    >>> [without_prefix(path, "/zoo") for path in ("/zoo/v1/ops", "/v1/ops", "/zoology", "/zoo")]
    ['/v1/ops', '/v1/ops', '/zoology', '/zoo']
    """
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
