"""Turns every exception into an error response, as `application/problem+json` (RFC 9457).

On the paths of the foreign protocols the response has the form that their clients read.

No other module maps an exception to a status. An error that a client cannot mend says only
"internal error" and the request id.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Unpack, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.documents import MalformedJsonError
from app.engine import (
    DeadlineError,
    EngineError,
    OutOfMemoryError,
    QueueFullError,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.errors import (
    ForeignProblemBody,
    ProblemBody,
    ProblemHead,
    ProblemItem,
    ProblemKind,
    ProblemMembers,
    ProblemSummary,
    RequestIds,
    ServiceError,
)
from app.http.foreign_problems import MEDIA_TYPE as FOREIGN_MEDIA_TYPE
from app.http.foreign_problems import foreign_error, foreign_status, is_foreign
from app.http.links import link
from app.http.problem_types import PROBLEM_TYPES
from app.store.errors import StoreError
from app.wording import clip, clip_text
from model_zoo import (
    BudgetError,
    BuildError,
    InputError,
    OptionError,
    ScopeError,
    SpecError,
    WeightsError,
    ZooError,
)

MEDIA_TYPE = "application/problem+json"

# The first class that matches decides, so ZooError, the root, comes last.
_LIBRARY_KINDS: tuple[tuple[type[ZooError], ProblemKind], ...] = (
    (MalformedJsonError, "malformed-json"),
    (BudgetError, "over-budget"),
    (BuildError, "build-refused"),
    (SpecError, "invalid-spec"),
    (ScopeError, "invalid-spec"),
    (InputError, "invalid-input"),
    (WeightsError, "weights-refused"),
    (ZooError, "unprocessable"),
)
# Retry-After of a 503 whose cause does not suggest a time.
_LATER_S = 10
# Retry-After of a readiness check that fails.
_READY_LATER_S = 5
_ENGINE_KINDS: tuple[tuple[type[EngineError], ProblemKind, int], ...] = (
    (WorkerDiedError, "worker-died", 1),
    (WorkerUnavailableError, "worker-unavailable", 5),
    (OutOfMemoryError, "out-of-memory", 1),
    (DeadlineError, "deadline-passed", 0),
)


class HttpError(ServiceError):
    """An error of the HTTP layer, with headers for its response."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        headers: Mapping[str, str],
        errors: Sequence[ProblemItem] = (),
        **members: Unpack[ProblemMembers],
    ) -> None:
        super().__init__(kind, detail, errors=errors, **members)
        self.headers = headers


def as_service_error(error: Exception) -> ServiceError:
    """Return the service error for any exception; an unexpected one is an internal error."""
    match error:
        case ServiceError():
            return error
        case OptionError():  # of a report or a file: here each is a query parameter
            return _from_option(error)
        case ZooError():
            return from_library(error)
        case EngineError():
            return _from_engine(error)
        case StoreError():
            return HttpError("store-unavailable", str(error), headers=_retry_after(5))
        case RequestValidationError():
            return _from_parameters(error)
        case HTTPException(status_code=404):
            return no_route()
        case _:
            return ServiceError("internal-error", "internal error")


def no_route() -> ServiceError:
    """Return the error for a path that no route has."""
    return ServiceError("not-found", f"No route has this path. {link('/docs')} lists the routes.")


def _from_option(error: OptionError) -> ServiceError:
    (problem,) = error.problems
    message = f"Query parameter {problem.message}"
    return query_error(error.option, message, problem.received, problem.suggestion)


def from_library(error: ZooError) -> ServiceError:
    """Return the service error for an error of `model_zoo`."""
    problems = error.problems
    detail = str(problems[0]) if problems else str(error)
    count = sum(problem.more or 1 for problem in problems)
    if count > 1:
        detail = f"{count} problems; the first: {detail}"
    members: ProblemMembers = {}
    if isinstance(error, BuildError):
        members = {"layer": error.layer, "scopes": list(error.scopes)}
    return ServiceError(
        next(kind for base, kind in _LIBRARY_KINDS if isinstance(error, base)),
        detail,
        errors=[
            {
                "pointer": problem.pointer,
                "message": problem.message,
                "received": problem.received,
                "suggestion": problem.suggestion,
            }
            for problem in problems
        ],
        **members,
    )


def _clipped(items: Sequence[ProblemItem]) -> list[ProblemItem]:
    """Return mistakes as an answer has them: what was received may be long, and stands in each."""
    clipped = []
    for item in items:
        copy: ProblemItem = {
            **item,
            "pointer": clip_text(item["pointer"]),
            "message": clip_text(item["message"]),
            "received": clip(item["received"]),
            "suggestion": item["suggestion"] and clip_text(item["suggestion"]),
        }
        if "parameter" in copy:
            copy["parameter"] = clip_text(copy["parameter"])
        clipped.append(copy)
    return clipped


def _clipped_members(members: ProblemMembers) -> ProblemMembers:
    """Return members with their texts as an answer has them; the library names what was sent."""
    clipped: dict[str, object] = {}
    for key, value in members.items():
        match value:
            case str():
                clipped[key] = clip_text(value)
            case list():
                clipped[key] = list(map(clip_text, value))
            case _:
                clipped[key] = value
    return cast(ProblemMembers, clipped)


@contextmanager
def unknown_names() -> Iterator[None]:
    """Turn an error of the library inside the block into unknown-name (404)."""
    try:
        yield
    except ZooError as error:
        refusal = from_library(error)
        raise ServiceError("unknown-name", refusal.detail, errors=refusal.errors) from error


def query_error(name: str, message: str, received: object, suggestion: str | None) -> ServiceError:
    """Return the error for a query parameter that is unknown or has an invalid value."""
    return ServiceError(
        "invalid-query", message, errors=[_query_item(name, message, received, suggestion)]
    )


def rejection_reason(error: ServiceError) -> str | None:
    """Return why a request was rejected that might succeed at another time, or None."""
    # not-ready is the result of a readiness check, which is answered and not rejected.
    if PROBLEM_TYPES[error.kind].status not in (429, 503, 504) or error.kind == "not-ready":
        return None
    return str(error.members.get("reason", error.kind))


def not_ready(detail: str, **members: Unpack[ProblemMembers]) -> HttpError:
    """Return the error for a readiness check of something that is not ready."""
    all_members: ProblemMembers = {"ready": False, **members}
    return HttpError("not-ready", detail, headers=_retry_after(_READY_LATER_S), **all_members)


def with_subject(name: str, error: ServiceError) -> ServiceError:
    """Return the error with the name of its model before each message."""
    items: list[ProblemItem] = [
        {**item, "message": f"{name}: {item['message']}"} for item in error.errors
    ]
    headers = error.headers if isinstance(error, HttpError) else {}
    return HttpError(
        error.kind, f"{name}: {error.detail}", headers=headers, errors=items, **error.members
    )


def problem_summary(error: ServiceError) -> ProblemSummary:
    """Return a problem as a part of another answer."""
    head = _head(error, PROBLEM_TYPES[error.kind].status)
    return {**head, **_clipped_members(error.members), "errors": _clipped(error.errors)}


def _head(error: ServiceError, status: int) -> ProblemHead:
    return {
        "type": link(f"/docs#problem-{error.kind}"),
        "title": PROBLEM_TYPES[error.kind].title,
        "status": status,
        "detail": clip_text(error.detail),
    }


def problem_response(error: ServiceError, ids: RequestIds, method: str, path: str) -> Response:
    """Return the response, in RFC 9457's form or in that of the path's foreign protocol."""
    status = foreign_status(PROBLEM_TYPES[error.kind].status, method, path)
    head = _head(error, status)
    body: ProblemBody | ForeignProblemBody
    members = _clipped_members(error.members)
    body = {**head, **ids, **members, "errors": _clipped(error.errors)}
    if is_foreign(path):
        body = {"error": foreign_error(error.kind, status, head["detail"]), **body}
    content = json.dumps(body, ensure_ascii=False, allow_nan=False)
    later = _retry_after(_LATER_S) if status == 503 else {}
    own = error.headers if isinstance(error, HttpError) else {}
    # A client's text may hold a lone surrogate, which is valid in Python but not in UTF-8.
    return Response(
        content.encode("utf-8", "backslashreplace"),
        status,
        headers={"Cache-Control": "no-store", **later, **own},
        media_type=FOREIGN_MEDIA_TYPE if is_foreign(path) else MEDIA_TYPE,
    )


def _from_engine(error: EngineError) -> ServiceError:
    if isinstance(error, QueueFullError):
        return HttpError(
            "overloaded",
            str(error),
            headers=_retry_after(error.retry_after_s),
            reason=error.reason,
        )
    for base, kind, seconds in _ENGINE_KINDS:
        if isinstance(error, base):
            return HttpError(kind, str(error), headers=_retry_after(seconds))
    return ServiceError("internal-error", "internal error")


def _from_parameters(error: RequestValidationError) -> ServiceError:
    items = []
    for problem in error.errors():
        name = str(problem["loc"][-1])
        rule = str(problem["msg"])
        message = f"Query parameter {name}: {rule[0].lower()}{rule[1:]}."
        items.append(_query_item(name, message, problem.get("input"), None))
    return ServiceError("invalid-query", items[0]["message"], errors=items)


def _query_item(name: str, message: str, received: object, suggestion: str | None) -> ProblemItem:
    return {
        "pointer": "",
        "parameter": name,
        "message": message,
        "received": received,
        "suggestion": suggestion,
    }


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)} if seconds else {}
