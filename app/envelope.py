"""What every request gets, whatever its route: an id, a time, safe headers, and an answer.

Plain ASGI, outermost: an exception that no handler knows becomes a 500 that says nothing of the
inside, and the log has the rest under the same id.
"""

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import ServiceError, as_service_error, problem_response
from app.settings import variable

log = logging.getLogger("app.access")

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Liveness must answer while everything else is full.
_ALWAYS_ADMITTED = "/healthz"


class Timings:
    """Seconds by phase, for the `Server-Timing` header."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Count the time inside as one phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0) + time.perf_counter() - started

    def header(self) -> str:
        """Return the header's value, in milliseconds."""
        return ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in self.seconds.items())


def timings(request: Request) -> Timings:
    """Return the timings of a request."""
    found: Timings = request.state.timings
    return found


class Envelope:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, max_concurrency: int) -> None:
        self._app = app
        self._max_concurrency = max_concurrency
        self._in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        full = self._in_progress >= self._max_concurrency
        self._in_progress += 1
        try:
            if full and scope["path"] != _ALWAYS_ADMITTED:
                raise ServiceError(
                    "overloaded",
                    f"{self._max_concurrency} requests are in progress already "
                    f"({variable('max_concurrency')}).",
                    headers={"Retry-After": "1"},
                )
            await self._app(exchange.scope, receive, exchange.send)
        except Exception as error:
            if exchange.status:  # too late for another answer; the server closes the connection
                raise
            await exchange.answer_error(error, receive)
        finally:
            self._in_progress -= 1
            exchange.log()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        self.status = 0
        self._send = send
        self._timings = Timings()
        self._started = time.perf_counter()
        self._method = scope["method"]
        # A HEAD is a GET whose body is not sent; routes know only the GET. The server's own scope
        # stays as it is: the server must know that no body follows.
        self._bodiless = self._method == "HEAD"
        self.scope: Scope = {
            **scope,
            "method": "GET" if self._bodiless else self._method,
            "state": {
                **scope.get("state", {}),
                "request_id": self.request_id,
                "timings": self._timings,
                "bodiless": self._bodiless,
            },
        }

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            headers["X-Content-Type-Options"] = "nosniff"
            if self._timings.seconds:
                headers["Server-Timing"] = self._timings.header()
        elif self._bodiless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    async def answer_error(self, error: Exception, receive: Receive) -> None:
        service_error = as_service_error(error)
        if service_error.kind == "internal-error":
            log.error("Request %s failed.", self.request_id, exc_info=error)
        response = problem_response(service_error, self.request_id)
        await response(self.scope, receive, self.send)

    def log(self) -> None:
        # The raw path is percent-encoded, so a client cannot write lines of its own into the log.
        path: Any = self.scope.get("raw_path") or self.scope["path"].encode()
        log.info(
            "%s %s %s %.1f ms id=%s",
            self._method,
            path.decode("ascii", "backslashreplace"),
            self.status or "aborted",
            1000 * (time.perf_counter() - self._started),
            self.request_id,
        )
