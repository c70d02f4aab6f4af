"""Decides who may send a request, before anything of it is read or admitted.

A refusal says what is needed, and nothing else: not whether a token, a build or a route exists.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from app.callers.access import Access
from app.callers.caller import Caller, NotKnownNowError, Usage, UsageError
from app.callers.roles import Need, includes
from app.errors import RequestIds, ServiceError
from app.http.audit import audit
from app.http.problems import HttpError
from app.http.routing import RouteMatch

# What a path without a route needs, or a method that its route does not have.
_NO_ROUTE = RouteMatch(Need("read"), "", {})
# RFC 6750, section 2.1.
_BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]{1,8192}={0,2})")
_CHALLENGE = 'Bearer realm="model-zoo"'
_LATER_S = 10


class Gate:
    """Lets callers in; it belongs to the event loop."""

    def __init__(
        self,
        access: Access,
        open_areas: frozenset[str],
        match: Callable[[Scope], RouteMatch | None],
        *,
        answers_preflights: bool = False,
    ) -> None:
        """`answers_preflights`: what is behind answers those of pages of other origins."""
        self.access = access
        self.match = match
        self._open_areas = open_areas
        self._answers_preflights = answers_preflights

    def visit(self, scope: Scope, ids: RequestIds) -> "Visit":
        """Return the visit that a request is."""
        visit = scope["state"]["visit"] = Visit(self, scope, ids)
        return visit

    def is_open(self, need: Need) -> bool:
        """Return whether a route needs no token."""
        return need.area in self._open_areas

    def is_preflight(self, scope: Scope) -> bool:
        """Return whether a browser asks for leave, which it does without a token."""
        if not self._answers_preflights or scope["method"] != "OPTIONS":
            return False
        return any(name == b"access-control-request-method" for name, _ in scope["headers"])


class Visit:
    """A request, from the look at its token to its line of the audit.

    `log_fields` are for all lines of the log about it; the caller's name is added to them.
    """

    def __init__(self, gate: Gate, scope: Scope, ids: RequestIds) -> None:
        self.log_fields: dict[str, Any] = {**ids}
        self.is_change = False
        self._gate = gate
        self._scope = scope
        self._match = _NO_ROUTE
        self._caller: Caller | None = None
        self._usage: Usage | None = None  # in which the request is counted

    async def enter(self) -> None:
        """Count the request in.

        Raises: ServiceError if it may not be sent.
        """
        match = self._match = self._gate.match(self._scope) or _NO_ROUTE
        if self._gate.is_open(match.need) or self._gate.is_preflight(self._scope):
            return
        self.is_change = match.need.is_change
        caller = self._caller = await self._identify()
        self.log_fields["caller"] = caller.name
        try:
            if caller.usage is not None:
                caller.usage.count()
            if not includes(caller.role, match.need.role):
                raise _forbidden(match.need)
            if caller.usage is not None:
                caller.usage.enter()
                self._usage = caller.usage
        except UsageError as error:
            raise HttpError(
                "too-many-requests",
                str(error),
                headers={"Retry-After": str(error.retry_after_s)},
                reason=error.reason,
            ) from error

    def leave(self, headers: Iterable[tuple[bytes, bytes]], status: int, request_id: str) -> None:
        """Count the request out, if it was let in, and write its line of the audit."""
        if self._usage is not None:
            self._usage.leave()
        if self.is_change:
            name = self._caller.name if self._caller else None
            method, match = self._scope["method"], self._match
            audit(name, method, match.route, match.ids, headers, status, request_id)

    async def _identify(self) -> Caller:
        headers = [value for name, value in self._scope["headers"] if name == b"authorization"]
        if not headers:
            raise _unauthenticated(_CHALLENGE)
        # Of two, a proxy may have checked the other. The parser leaves blanks at the end.
        match = _BEARER.fullmatch(headers[0].strip(b" \t")) if len(headers) == 1 else None
        try:
            caller = await self._gate.access.find(match[1].decode()) if match else None
        except NotKnownNowError as error:
            raise HttpError(
                "issuer-unavailable",
                "The keys of the issuer of tokens cannot be fetched now.",
                headers={"Retry-After": str(_LATER_S)},
            ) from error
        if caller is None:
            raise _unauthenticated(f'{_CHALLENGE}, error="invalid_token"')
        return caller


def changes_nothing(request: Request) -> None:
    """Leave a request out of the audit: its route changes something, and it does not."""
    visit: Visit | None = request.scope["state"].get("visit")
    if visit is not None:
        visit.is_change = False


def _unauthenticated(challenge: str) -> ServiceError:
    return HttpError(
        "unauthenticated",
        "A valid token is needed: Authorization: Bearer TOKEN.",
        headers={"WWW-Authenticate": challenge},
    )


def _forbidden(need: Need) -> ServiceError:
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{need.role}"'
    return HttpError(
        "forbidden",
        f"A token with the role {need.role} is needed.",
        headers={"WWW-Authenticate": challenge},
        role=need.role,
    )
