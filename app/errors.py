"""The errors of the service: a kind from a closed set, and a sentence for the client.

Errors of the library, the engine and the store pass through unchanged. Only `app.http.problems`
turns any of them into a status.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

ProblemKind = Literal[
    "malformed-json",
    "malformed-body",
    "malformed-request",
    "not-found",
    "unknown-build",
    "unknown-model",
    "unknown-name",
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
    "overloaded",
    "worker-died",
    "worker-unavailable",
    "out-of-memory",
    "store-full",
    "store-unavailable",
    "deadline-passed",
]
ProblemKinds = tuple[ProblemKind, ...]


class ServiceError(Exception):
    """A request that the service rejects: the kind, a sentence, and members of the problem."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        **members: Any,
    ) -> None:
        self.kind: ProblemKind = kind
        self.detail = detail
        self.errors = errors
        self.members = members
        super().__init__(detail)
