"""Wraps every request: access, admission, an id, timings, safe headers, an answer to any error.

It is plain ASGI and the outermost layer. An unexpected exception becomes a 500 that reveals no
internals; the log has the details under the same request id. It runs for every request, so it must
be cheap.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.engine import WorkerUnavailableError
from app.errors import RequestIds
from app.http.access import Gate
from app.http.admission import Admission, is_always_admitted
from app.http.body_budget import BodyBudget, HeldBody
from app.http.cross_origin import check_origin
from app.http.problems import as_service_error, problem_response, rejection_reason
from app.settings import Settings
from app.telemetry.logs import about_request, log_fields
from app.telemetry.metrics import Metrics
from app.telemetry.spans import Phase, SpanExporter
from app.telemetry.timings import Timings
from app.telemetry.trace_context import TraceContext, random_id, read_trace_context

log = logging.getLogger("app.access")

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_HEADERS_READ = frozenset(
    (b"x-request-id", b"traceparent", b"tracestate", b"sec-fetch-site", b"origin")
)


class Envelope:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        bodies: BodyBudget | None = None,
        metrics: Metrics | None = None,
        spans: SpanExporter | None = None,
        gate: Gate | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._origins = origins
        self._admission = admission
        self._bodies = bodies or BodyBudget(Settings.model_construct().bodies_limit)
        self._metrics = metrics or Metrics()
        self._spans = spans
        self._gate = gate  # None without access control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        always = is_always_admitted(scope)
        # Probes come every few seconds and do no work for a client, so they get no span.
        body = self._bodies.body()
        exchange = _Exchange(scope, send, None if always else self._spans, body)
        self._metrics.request_began(scope["method"])
        admitted = False
        visit = None if self._gate is None else self._gate.visit(exchange.scope, exchange.ids)
        with about_request(exchange.ids if visit is None else visit.log_fields):
            try:
                if visit is not None:
                    await visit.enter()
                if not always:
                    self._admission.enter(scope)
                    admitted = True
                check_origin(scope["method"], exchange.fetch_site, exchange.origin, self._origins)
                await self._app(exchange.scope, receive, exchange.send)
                await asyncio.sleep(0)  # uvloop sends what is written when no task can go on
            except asyncio.CancelledError:  # the request did not finish within drain_s
                if exchange.status:  # the server has closed the connection
                    return
                stopping = WorkerUnavailableError("The service is stopping.")
                await exchange.answer_error(stopping, receive)
            except Exception as error:
                if exchange.status:  # the response has started; the server closes the connection
                    raise
                reason = await exchange.answer_error(error, receive)
                if reason is not None:
                    self._metrics.rejected(reason)
            finally:
                body.close()
                if admitted:
                    self._admission.leave(scope)
                route, seconds = exchange.end()
                if visit is not None:
                    visit.leave(exchange.headers, exchange.status, exchange.request_id)
                self._metrics.request_ended(scope["method"], route, exchange.status, seconds)


class _Exchange:
    """One request and its response."""

    def __init__(
        self, scope: Scope, send: Send, spans: SpanExporter | None, body: HeldBody
    ) -> None:
        self.status = 0
        self.headers: Sequence[tuple[bytes, bytes]] = ()  # of the answer, as the routes gave them
        self._started = time.perf_counter()
        self._send = send
        self._timings = Timings()
        self._method: str = scope["method"]
        headers = _headers(scope)
        self.fetch_site = headers.get(b"sec-fetch-site", "")
        self.origin = headers.get(b"origin", "")
        request_id = headers.get(b"x-request-id", "")
        self.request_id = request_id if _SAFE_ID.fullmatch(request_id) else random_id(128)
        self._begin_trace(headers, spans)
        self.ids: RequestIds = {"request_id": self.request_id}
        if self._trace is not None:
            self.ids["trace_id"] = self._trace.trace_id
        # A HEAD runs as a GET whose body is not sent, because routes define only GET. The server's
        # own scope keeps HEAD: the server must know that no body follows.
        self._bodiless = self._method == "HEAD"
        self.scope: Scope = {
            **scope,
            "method": "GET" if self._bodiless else self._method,
            "state": {
                **scope.get("state", {}),
                "request_id": self.request_id,
                "timings": self._timings,
                "bodiless": self._bodiless,
                "body": body,
            },
        }

    def _begin_trace(self, headers: dict[bytes, str], spans: SpanExporter | None) -> None:
        """Start a span if spans are exported; else only continue the caller's trace, if any."""
        parent = None
        if b"traceparent" in headers:
            parent = read_trace_context(headers[b"traceparent"], headers.get(b"tracestate", ""))
        self._span = None
        self._trace: TraceContext | None = None
        if spans is not None:
            self._began_ns = time.time_ns()
            self._span = spans.begin(self._method, parent, self._began_ns)
            self._trace = self._span.context
        elif parent is not None:
            self._trace = parent.child()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message.get("headers", ())
            headers = [
                *self.headers,
                (b"x-request-id", self.request_id.encode()),
                _NOSNIFF,
            ]
            if self._timings.seconds:
                headers.append((b"server-timing", self._timings.header().encode()))
            if self._trace is not None:
                headers.append((b"traceresponse", self._trace.header().encode()))
            message = {**message, "headers": headers}
        elif self._bodiless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    async def answer_error(self, error: Exception, receive: Receive) -> str | None:
        """Send the answer; return the reason if the request was rejected for lack of capacity."""
        service_error = as_service_error(error)
        if service_error.kind == "internal-error":
            log.error("Request %s failed.", self.request_id, exc_info=error)
        response = problem_response(service_error, self.ids, self._method, self.scope["path"])
        await response(self.scope, receive, self.send)
        return rejection_reason(service_error)

    def end(self) -> tuple[str, float]:
        """Log the request and end its span; return the route's template and the seconds taken."""
        seconds = time.perf_counter() - self._started
        # The raw path is percent-encoded, so a client cannot forge lines of the log.
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        path = raw.decode("ascii", "backslashreplace")
        route: str = getattr(self.scope.get("route"), "path", "")  # "" if no route matched
        model = self.scope["state"].get("model")
        fields = {
            "method": self._method,
            "path": path,
            "route": route,
            "status": self.status,
            "duration_ms": round(1000 * seconds, 3),
            "client": (self.scope.get("client") or ("",))[0],
        }
        if model is not None:
            fields["model"] = model
        log_fields(
            log,
            "%s %s %s %.1f ms id=%s",
            (self._method, path, self.status or "aborted", 1000 * seconds, self.request_id),
            fields,
        )
        if self._span is not None:
            attributes = {
                "http.request.method": self._method,
                "http.response.status_code": self.status,
                "url.path": path,
                "url.scheme": self.scope.get("scheme", "http"),
                "zoo.request_id": self.request_id,
            }
            if route:
                attributes["http.route"] = route
            if model is not None:
                attributes["zoo.model"] = model
            self._span.end(
                f"{self._method} {route}".rstrip(), self.status, attributes, self._phases()
            )
        return route, seconds

    def _phases(self) -> Iterator[Phase]:
        for name, began, seconds in self._timings.phases(self._started):
            began_ns = self._began_ns + round((began - self._started) * 1e9)
            yield Phase(name, began_ns, began_ns + round(seconds * 1e9))


def _headers(scope: Scope) -> dict[bytes, str]:
    """Return the headers that the envelope reads, by name.

    Of a repeated `x-request-id` the first counts. A repeated `traceparent` is joined with a comma,
    which makes it invalid.
    """
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS_READ:
            if name == b"x-request-id" and name in headers:
                continue
            text = value.decode("latin-1")
            headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers
