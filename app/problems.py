"""Every error answer of the service, as `application/problem+json` (RFC 9457).

On the paths of the foreign protocols the same members stand in the form that their clients read.

The only place that turns an exception into a status. What a client cannot mend says "internal
error" and the request id, nothing of the inside.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.compute.engine import (
    DeadlineError,
    EngineError,
    OutOfMemoryError,
    QueueFullError,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.documents import MalformedJsonError
from app.foreign import MEDIA_TYPE as FOREIGN_MEDIA_TYPE
from app.foreign import foreign_error, foreign_status, is_foreign
from app.store.errors import StoreError
from app.wording import clip
from model_zoo import (
    BudgetError,
    BuildError,
    InputError,
    ScopeError,
    SpecError,
    WeightsError,
    ZooError,
)

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """A kind of problem: its status and its title, the same in every answer of the kind."""

    status: int
    title: str


KINDS = {
    "malformed-json": Kind(400, "The body is not JSON that can be read"),
    "malformed-body": Kind(400, "The body cannot be read"),
    "malformed-request": Kind(400, "The protocol has no such request"),
    "not-found": Kind(404, "There is nothing here"),
    "unknown-build": Kind(404, "There is no such build"),
    "unknown-model": Kind(404, "There is no such model"),
    "unknown-name": Kind(404, "There is nothing of this name"),
    "method-not-allowed": Kind(405, "The method does not fit the resource"),
    "unknown-weights": Kind(404, "There are no such weights"),
    "not-acceptable": Kind(406, "None of the accepted types can be given"),
    "slow-body": Kind(408, "The body did not arrive in time"),
    "conflict": Kind(409, "It is something else already"),
    "in-use": Kind(409, "Something else is made of it"),
    "body-too-large": Kind(413, "The body is too large"),
    "unsupported-type": Kind(415, "The body's type is not supported"),
    "unsatisfiable-range": Kind(416, "The range begins after the end"),
    "invalid-query": Kind(422, "A query parameter is not valid"),
    "invalid-spec": Kind(422, "The build spec is not valid"),
    "build-refused": Kind(422, "The network refuses its configuration"),
    "over-budget": Kind(422, "The build is over the budget"),
    "weights-refused": Kind(422, "The weights do not fit, or cannot be read"),
    "invalid-input": Kind(422, "The input does not fit the network"),
    "unprocessable": Kind(422, "The request cannot be carried out"),
    "too-many-requests": Kind(429, "The client has too many requests in progress"),
    # nginx's number: only the log sees it.
    "client-gone": Kind(499, "The client closed the connection"),
    "internal-error": Kind(500, "Internal error"),
    "not-implemented": Kind(501, "The service does not offer this"),
    "not-ready": Kind(503, "It is not ready"),
    "overloaded": Kind(503, "The service is full"),
    "worker-died": Kind(503, "The worker ended while it computed"),
    "worker-unavailable": Kind(503, "The worker is not available"),
    "out-of-memory": Kind(503, "There is not enough memory"),
    "store-full": Kind(503, "The store is full"),
    "store-unavailable": Kind(503, "The store is not available"),
    "deadline-passed": Kind(504, "The deadline passed"),
}

# The first class that fits decides; ZooError is the root.
_LIBRARY_KINDS: tuple[tuple[type[ZooError], str], ...] = (
    (MalformedJsonError, "malformed-json"),
    (BudgetError, "over-budget"),
    (BuildError, "build-refused"),
    (SpecError, "invalid-spec"),
    (ScopeError, "invalid-spec"),
    (InputError, "invalid-input"),
    (WeightsError, "weights-refused"),
    (ZooError, "unprocessable"),
)
# Where nothing says when a full or stopping service may take more.
_LATER_S = 10
_ENGINE_KINDS: tuple[tuple[type[EngineError], str, int], ...] = (
    (WorkerDiedError, "worker-died", 1),
    (WorkerUnavailableError, "worker-unavailable", 5),
    (OutOfMemoryError, "out-of-memory", 1),
    (DeadlineError, "deadline-passed", 0),
)


class ServiceError(Exception):
    """A refusal by the HTTP layer itself: a kind, a sentence, and members beside it."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members
        super().__init__(detail)


def as_service_error(error: Exception) -> ServiceError:
    """Return the answer to any exception; one that is not known is an internal error."""
    match error:
        case ServiceError():
            return error
        case ZooError():
            return from_library(error)
        case EngineError():
            return _from_engine(error)
        case StoreError():
            return ServiceError("store-unavailable", str(error), headers=_retry_after(5))
        case RequestValidationError():
            return _from_parameters(error)
        case HTTPException(status_code=404):
            return ServiceError("not-found", "No route has this path. /docs lists the routes.")
        case _:
            return ServiceError("internal-error", "internal error")


def from_library(error: ZooError) -> ServiceError:
    """Return the answer to an error of model_zoo."""
    problems = error.problems
    detail = str(problems[0]) if problems else str(error)
    if len(problems) > 1:
        detail = f"{len(problems)} problems; the first: {detail}"
    members: dict[str, Any] = {}
    if isinstance(error, BuildError):
        members = {"layer": error.layer, "scopes": list(error.scopes)}
    return ServiceError(
        next(kind for base, kind in _LIBRARY_KINDS if isinstance(error, base)),
        detail,
        errors=[
            {
                "pointer": problem.pointer,
                "message": problem.message,
                "received": clip(problem.received),
                "suggestion": problem.suggestion,
            }
            for problem in problems
        ],
        **members,
    )


def unknown_build(build_id: str) -> ServiceError:
    """Return the answer where a build is asked for that there is not."""
    shown = build_id if len(build_id) <= 64 else build_id[:64] + "..."
    return ServiceError("unknown-build", f"There is no build {shown!r}. GET /v1/builds lists them.")


def query_error(name: str, message: str, received: object, suggestion: str | None) -> ServiceError:
    """Return the answer to a query parameter that is unknown or does not fit."""
    return ServiceError(
        "invalid-query", message, errors=[_query_item(name, message, received, suggestion)]
    )


def rejection_reason(error: ServiceError) -> str | None:
    """Return why a request was rejected that may well be answered at another time, if it was."""
    # not-ready is the answer that a probe asked for, and refuses nobody.
    if KINDS[error.kind].status not in (429, 503, 504) or error.kind == "not-ready":
        return None
    return str(error.members.get("reason", error.kind))


def problem_document(
    error: ServiceError, status: int, ids: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Return the members of a problem."""
    return {
        "type": f"/docs#problem-{error.kind}",
        "title": KINDS[error.kind].title,
        "status": status,
        "detail": error.detail,
        **ids,
        **error.members,
        "errors": list(error.errors),
    }


def problem_response(
    error: ServiceError, ids: Mapping[str, Any], method: str, path: str
) -> Response:
    """Return the answer in RFC 9457's form, or in that of the foreign protocol of the path.

    `ids` has the request's id, and its trace's if it is in one.
    """
    status = foreign_status(KINDS[error.kind].status, method, path)
    body = problem_document(error, status, ids)
    if is_foreign(path):
        body = {"error": foreign_error(error.kind, status, error.detail), **body}
    content = json.dumps(body, ensure_ascii=False, allow_nan=False)
    later = _retry_after(_LATER_S) if status == 503 else {}
    # A lone surrogate in a client's text is valid in Python and not in UTF-8.
    return Response(
        content.encode("utf-8", "backslashreplace"),
        status,
        headers={"Cache-Control": "no-store", **later, **error.headers},
        media_type=FOREIGN_MEDIA_TYPE if is_foreign(path) else MEDIA_TYPE,
    )


def _from_engine(error: EngineError) -> ServiceError:
    if isinstance(error, QueueFullError):
        return ServiceError(
            "overloaded",
            str(error),
            headers=_retry_after(error.retry_after_s),
            reason="queue-full",
        )
    for base, kind, seconds in _ENGINE_KINDS:
        if isinstance(error, base):
            return ServiceError(kind, str(error), headers=_retry_after(seconds))
    return ServiceError("internal-error", "internal error")


def _from_parameters(error: RequestValidationError) -> ServiceError:
    items = []
    for problem in error.errors():
        name = str(problem["loc"][-1])
        rule = str(problem["msg"])
        message = f"Query parameter {name}: {rule[0].lower()}{rule[1:]}."
        items.append(_query_item(name, message, problem.get("input"), None))
    return ServiceError("invalid-query", items[0]["message"], errors=items)


def _query_item(
    name: str, message: str, received: object, suggestion: str | None
) -> dict[str, Any]:
    return {
        "pointer": "",
        "parameter": name,
        "message": message,
        "received": clip(received),
        "suggestion": suggestion,
    }


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)} if seconds else {}
