"""The errors of the service: a kind from a closed set, and a sentence for the client.

Errors of the library, the engine and the store pass through unchanged. Only `app.http.problems`
turns any of them into a status.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired, Unpack, get_args

from pydantic import Field, JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

ProblemKind = Literal[
    "malformed-json",
    "malformed-body",
    "malformed-request",
    "malformed-http",
    "unauthenticated",
    "forbidden",
    "cross-site",
    "not-found",
    "unknown-build",
    "unknown-model",
    "unknown-name",
    "unknown-scope",
    "unknown-sweep",
    "unknown-weights",
    "method-not-allowed",
    "not-acceptable",
    "slow-body",
    "conflict",
    "in-use",
    "body-too-large",
    "unsupported-type",
    "unsatisfiable-range",
    "invalid-query",
    "invalid-spec",
    "build-refused",
    "over-budget",
    "weights-refused",
    "invalid-input",
    "unprocessable",
    "too-many-requests",
    "client-gone",
    "internal-error",
    "not-implemented",
    "not-ready",
    "issuer-unavailable",
    "overloaded",
    "worker-died",
    "worker-unavailable",
    "out-of-memory",
    "store-full",
    "store-unavailable",
    "deadline-passed",
]
ProblemKinds = tuple[ProblemKind, ...]
_TYPES: list[JsonValue] = [f"/docs#problem-{kind}" for kind in get_args(ProblemKind)]


class ProblemItem(TypedDict):
    """A mistake in a request: the place, the rule, what was received, the nearest valid value."""

    pointer: Annotated[str, Field(description="JSON pointer into the body.")]
    parameter: NotRequired[Annotated[str, Field(description="The query parameter at fault.")]]
    message: str
    received: Any
    suggestion: str | None


class ProblemMembers(TypedDict, total=False):
    """What some kinds of problems say beside their sentence."""

    layer: Annotated[str | None, Field(description="The layer that refused (build-refused).")]
    scopes: Annotated[list[str], Field(description="The scopes active there (build-refused).")]
    builds: Annotated[list[str], Field(description="Builds that use it (in-use).")]
    models: Annotated[list[str], Field(description="Named models that use it (in-use).")]
    received: str | int
    limit: float
    setting: Annotated[str, Field(description="The environment variable of the limit.")]
    reason: Annotated[str, Field(description="What is full (overloaded, too-many-requests).")]
    name: Annotated[str, Field(description="The model (not-ready).")]
    ready: bool
    live: bool
    role: Annotated[str, Field(description="The role that is needed (forbidden).")]


class ProblemHead(TypedDict):
    """The kind of a problem, and what went wrong in one sentence."""

    type: Annotated[str, Field(json_schema_extra={"enum": _TYPES})]
    title: str
    status: int
    detail: str


class ProblemSummary(ProblemHead, ProblemMembers):
    """A problem without the ids of a request."""

    errors: Sequence[ProblemItem]


class RequestIds(TypedDict):
    """The ids of a request: its own, and that of the trace that it is part of."""

    request_id: str
    trace_id: NotRequired[str]


class ProblemBody(ProblemSummary, RequestIds):
    """A problem (RFC 9457)."""


class ForeignProblemBody(ProblemBody):
    """A problem as clients of the Open Inference and TensorFlow Serving protocols read it."""

    error: Annotated[str, Field(description="All that these clients read.")]


class ServiceError(Exception):
    """A request that the service rejects: the kind, a sentence, and members of the problem."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Sequence[ProblemItem] = (),
        **members: Unpack[ProblemMembers],
    ) -> None:
        self.kind: ProblemKind = kind
        self.detail = detail
        self.errors = errors
        self.members = members
        super().__init__(detail)
