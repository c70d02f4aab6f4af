"""The rows of a sweep: what one configuration came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, Self

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.budget import Budget
from model_zoo.errors import BuildError, Problem, ZooError
from model_zoo.plain_values import spell
from model_zoo.reports.summary import Totals
from model_zoo.saved_scopes import ScopeLibrary
from model_zoo.spec import BuildSpec
from model_zoo.tracing import trace

# Problems quote names from the spec, which may be of any length, once in each row.
_MAX_CHARACTERS = 1_000

RowStatus = Literal["traced", "refused", "duplicate", "filtered"]


class RowProblem(TypedDict):
    """Why a row was refused: the first mistake, with its place in the row's spec.

    `layer` is the one that refused, `received` what stands at the place as JSON, `more` how many
    mistakes there are besides.
    """

    pointer: str
    message: str
    layer: str | None
    received: str | None
    suggestion: str | None
    more: int


class PredictedDocument(TypedDict):
    """The gain that is predicted for a row's network; null where it cannot be, and why and where.

    See `Trace.predicted_signal`.
    """

    predicted_gain: float | None
    unpredictable: str | None


class MeasuredDocument(TypedDict, total=False):
    """What was measured of a row's network; what was not asked for is not there.

    `latency_s` is the median of the seconds that a batch of `batch_rows` took to compute, without
    reading and waiting. The outputs are compared with those of the sweep's base on the same input:
    the share of rows with the same most probable class, the largest difference, and the mean
    Kullback-Leibler divergence in nats; null where they cannot be compared. A probe gives the gain
    from the input to the scores in inference and in training mode, and its verdicts. `failure` says
    why nothing was measured.
    """

    engine: str | None
    batch_rows: int
    latency_s: float
    output_mean: float | None
    output_std: float | None
    same_top_1: float | None
    largest_difference: float | None
    mean_kl_divergence: float | None
    signal_gain: float | None
    training_signal_gain: float | None
    verdicts: list[str]
    failure: str


class SweepRowDocument(TypedDict):
    """A configuration and what it came to.

    `values` are those of the axes, by place. `build` is the id that a build of the row's spec has,
    null where the spec is not valid. A duplicate means the same as the row `duplicate_of`; a row is
    filtered where its totals do not meet a condition. `front` is there if a Pareto front was asked
    for, `spec` if the rows' specs were, `predicted` if the sweep has that column, and `measured` if
    something was measured.
    """

    index: int
    build: str | None
    status: RowStatus
    values: dict[str, JsonValue]
    totals: Totals | None
    warnings: int
    problem: RowProblem | None
    duplicate_of: int | None
    front: NotRequired[bool]
    spec: NotRequired[dict[str, JsonValue]]
    predicted: NotRequired[PredictedDocument]
    measured: NotRequired[MeasuredDocument]


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What a spec comes to, whatever sweep it is in: totals and warnings, or a problem."""

    build: str | None
    totals: Totals | None = None
    warnings: tuple[str, ...] = ()
    problem: RowProblem | None = None
    predicted: PredictedDocument | None = None

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """Return the outcome of its JSON."""
        return cls(
            document["build"],
            document["totals"],
            tuple(document["warnings"]),
            document["problem"],
            document["predicted"],
        )


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A row of a sweep."""

    index: int
    values: Mapping[str, JsonValue]
    status: RowStatus
    outcome: RowOutcome
    duplicate_of: int | None = None

    @property
    def build(self) -> str | None:
        """The id of the row's build; None where the spec is not valid."""
        return self.outcome.build

    @property
    def totals(self) -> Totals | None:
        """The totals of the summary; None where the row was refused."""
        return self.outcome.totals

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the build's warnings say."""
        return self.outcome.warnings

    @property
    def problem(self) -> RowProblem | None:
        """Why the row was refused."""
        return self.outcome.problem

    def to_dict(self) -> SweepRowDocument:
        """Return the row, JSON-ready."""
        document: SweepRowDocument = {
            "index": self.index,
            "build": self.build,
            "status": self.status,
            "values": dict(self.values),
            "totals": self.totals,
            "warnings": len(self.warnings),
            "problem": self.problem,
            "duplicate_of": self.duplicate_of,
        }
        if self.outcome.predicted is not None:
            document["predicted"] = self.outcome.predicted
        return document


# The id of a build, and whether its spec is strict: equal for specs that come to the same.
RowKey = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Identified:
    """A spec that was read, with the id of its build; or else the problem."""

    spec: BuildSpec | None
    outcome: RowOutcome

    @property
    def key(self) -> RowKey | None:
        """The key of the spec; None where it is not valid."""
        if self.spec is None or self.outcome.build is None:
            return None
        return self.outcome.build, self.spec.strict


def identify_row(spec: object, scopes: ScopeLibrary, budget: Budget) -> Identified:
    """Return a spec with the id of its build, or the problem why it has none."""
    try:
        read = BuildSpec.read(spec, scopes, budget)
    except ZooError as error:
        return Identified(None, RowOutcome(None, problem=problem_of(error)))
    return Identified(read, RowOutcome(read.digest))


def trace_row(spec: BuildSpec, budget: Budget, *, predicts: bool = False) -> RowOutcome:
    """Trace a spec, and return what it comes to, with the predicted gain if that is asked for."""
    try:
        traced = trace(spec, budget)
    except ZooError as error:
        return RowOutcome(spec.digest, problem=problem_of(error))
    predicted: PredictedDocument | None = None
    if predicts:
        signal = traced.predicted_signal()
        predicted = {"predicted_gain": signal.gain, "unpredictable": signal.reason}
    return RowOutcome(spec.digest, traced.summary().totals, traced.warnings, predicted=predicted)


def problem_of(error: ZooError) -> RowProblem:
    """Return the first problem of an error, and how many more there are."""
    layer = error.layer if isinstance(error, BuildError) else None
    return row_problem(error.problems[0], layer, more=len(error.problems) - 1)


def row_problem(problem: Problem | str, layer: str | None = None, more: int = 0) -> RowProblem:
    """Return a problem as a row has it."""
    problem = Problem(problem) if isinstance(problem, str) else problem
    return {
        "pointer": _cut(problem.pointer),
        "message": _cut(problem.message),
        "layer": layer,
        "received": None if problem.received is None else spell(problem.received),
        "suggestion": problem.suggestion,
        "more": more,
    }


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "..."
