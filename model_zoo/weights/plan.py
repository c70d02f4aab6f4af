"""What a restore would do, variable by variable: records, and how they are shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, cast, get_args

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import Problem, WeightsError
from model_zoo.graph import Variable
from model_zoo.weight_sources import StoredWeights
from model_zoo.weights.causes import Suggestion, SuggestionDocument, UnusedKind, unused_kind

Status = Literal["matched", "renamed", "moving_average", "shape_mismatch", "missing"]
STATUSES: tuple[Status, ...] = get_args(Status)
FILLED = STATUSES[:3]
# In a refusal; the plan itself lists them all.
_MAX_LISTED = 20


class RowDocument(TypedDict):
    """What a source has for one variable of the build; its name and shape there, if it has it."""

    name: str
    shape: list[int]
    status: Status
    name_in_source: str | None
    shape_in_source: list[int] | None


class UnusedDocument(TypedDict):
    """A tensor of a source that no variable takes, and what it is by its name."""

    name: str
    shape: list[int]
    kind: UnusedKind


class StoredWeightsDocument(TypedDict):
    """A source of weights as a normalized spec says it."""

    source: Literal["checkpoint", "build"]
    id: str
    include: list[str]
    exclude: list[str]
    rename: dict[str, str]
    policy: Literal["strict", "skip_mismatch"]
    moving_averages: NotRequired[bool]


class Counts(TypedDict):
    """How many variables have each status, and how many tensors of the source none takes."""

    matched: int
    renamed: int
    moving_average: int
    shape_mismatch: int
    missing: int
    unused: int


class SourceSummary(TypedDict):
    """What one source gives, without its tensors."""

    source: StoredWeightsDocument
    counts: Counts
    global_step: int | None
    causes: list[str]
    suggestions: list[SuggestionDocument]


class SourceDocument(SourceSummary):
    """What one source gives, variable by variable, and what it has left over."""

    variables: list[RowDocument]
    unused: list[UnusedDocument]


# `from` is a word of Python.
OriginDocument = TypedDict(
    "OriginDocument", {"name": str, "from": int | None, "name_in_source": str | None}
)
OriginDocument.__doc__ = "Where a variable's value comes from: the source's number, null if random."


class RestoreFigures(TypedDict):
    """How much of a build's parameters the sources fill."""

    parameters: int
    restored_parameters: int
    share: float


class RestoreSummary(RestoreFigures):
    """What each source gives to a build."""

    sources: list[SourceSummary]


class RestoreDocument(RestoreFigures):
    """What each source gives to a build, and where each variable's value comes from."""

    sources: list[SourceDocument]
    variables: list[OriginDocument]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a plan needs of a tensor: NumPy's name of the dtype, and the shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What a source has for one variable that it is to fill; `name` is the source's own."""

    variable: Variable
    status: Status
    name: str | None = None
    shape: tuple[int, ...] | None = None

    def to_dict(self) -> RowDocument:
        """Return the row, JSON-ready."""
        return {
            "name": self.variable.name,
            "shape": list(self.variable.shape),
            "status": self.status,
            "name_in_source": self.name,
            "shape_in_source": None if self.shape is None else list(self.shape),
        }


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What one source gives: a row for each variable it is to fill, and what it has left over."""

    source: StoredWeights
    pointer: str
    rows: Sequence[Row]
    unused: Mapping[str, TensorInfo]
    causes: Sequence[str]
    suggestions: Sequence[Suggestion]
    mistakes: Sequence[Problem]
    global_step: int | None

    def summary(self) -> SourceSummary:
        """Return the plan of this source without its tensors, JSON-ready."""
        counted = Counter(row.status for row in self.rows)
        return {
            "source": cast(StoredWeightsDocument, self.source.model_dump()),
            "counts": {
                "matched": counted["matched"],
                "renamed": counted["renamed"],
                "moving_average": counted["moving_average"],
                "shape_mismatch": counted["shape_mismatch"],
                "missing": counted["missing"],
                "unused": len(self.unused),
            },
            "global_step": self.global_step,
            "causes": [*map(str, self.mistakes), *self.causes],
            "suggestions": [each.to_dict() for each in self.suggestions],
        }

    def to_dict(self) -> SourceDocument:
        """Return the plan of this source, JSON-ready."""
        return {
            **self.summary(),
            "variables": [row.to_dict() for row in self.rows],
            "unused": [
                {"name": name, "shape": list(info.shape), "kind": unused_kind(name)}
                for name, info in self.unused.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What all sources together give.

    `origins` has the number of a variable's source and its name there; without one it is random.
    """

    variables: Sequence[Variable]
    sources: Sequence[SourcePlan]
    origins: Mapping[str, tuple[int, str]]

    @property
    def share(self) -> float:
        """The share of the build's parameters that sources fill."""
        return self.restored_parameters / (sum(v.size for v in self.variables) or 1)

    @property
    def restored_parameters(self) -> int:
        return sum(v.size for v in self.variables if v.name in self.origins)

    @property
    def global_step(self) -> int:
        """The step that the last source with one was saved at; 0 if none has any."""
        return next((s.global_step for s in reversed(self.sources) if s.global_step is not None), 0)

    @property
    def warnings(self) -> list[str]:
        """The causes of what sources that are not strict leave random."""
        return [
            f"{source.pointer}: {cause}"
            for source in self.sources
            if any(row.status not in FILLED for row in source.rows)
            for cause in source.causes
        ]

    def check(self) -> None:
        """Raises: WeightsError with what strict sources lack, and patterns that fit nothing."""
        problems: list[Problem] = []
        for source in self.sources:
            problems += source.mistakes
            rows = [row for row in source.rows if row.status not in FILLED]
            if source.source.policy == "strict" and rows:
                problems += _refusals(source, rows)
        if problems:
            raise WeightsError(*problems)

    def _figures(self) -> RestoreFigures:
        return {
            "parameters": sum(variable.size for variable in self.variables),
            "restored_parameters": self.restored_parameters,
            "share": round(self.share, 6),
        }

    def summary(self) -> RestoreSummary:
        """Return the plan without variables, JSON-ready."""
        return {**self._figures(), "sources": [source.summary() for source in self.sources]}

    def to_dict(self) -> RestoreDocument:
        """Return the plan, JSON-ready; `from` counts the sources, null is random."""
        origins: list[OriginDocument] = []
        for variable in self.variables:
            index, name = self.origins.get(variable.name, (None, None))
            origins.append({"name": variable.name, "from": index, "name_in_source": name})
        return {
            **self._figures(),
            "sources": [source.to_dict() for source in self.sources],
            "variables": origins,
        }

    def to_text(self) -> str:
        """Return the plan as lines: each source's causes, then what does not simply match."""
        lines = [
            f"restored: {self.restored_parameters:,} of "
            f"{sum(v.size for v in self.variables):,} parameters ({self.share:.1%})"
        ]
        for index, source in enumerate(self.sources):
            summary = source.summary()
            counts = ", ".join(f"{n} {status}" for status, n in summary["counts"].items() if n)
            lines.append(
                f"source {index} ({source.source.source} {source.source.id[:12]}): {counts}"
            )
            if source.global_step is not None:
                lines.append(f"  global_step {source.global_step}")
            lines += [f"  {cause}" for cause in summary["causes"]]
            lines += [f"  {each}" for each in source.suggestions]
            lines += [f"  {_spell(row)}" for row in source.rows if row.status != "matched"]
            lines += [
                f"  unused: {name} {list(info.shape)} ({unused_kind(name)})"
                for name, info in source.unused.items()
            ]
        return "\n".join(lines) + "\n"


def _spell(row: Row) -> str:
    variable = row.variable
    match row.status:
        case "missing":
            return f"missing: {variable.name} {list(variable.shape)}"
        case "shape_mismatch":
            return (
                f"shape mismatch: {variable.name} is {list(variable.shape)} in the build and "
                f"{list(row.shape or ())} in the source"
            )
        case _:
            return f"{row.status.replace('_', ' ')}: {row.name} -> {variable.name}"


def _refusals(source: SourcePlan, rows: Sequence[Row]) -> list[Problem]:
    """Return why a strict source is refused: the known causes first, then the variables."""
    problems = [Problem(cause, source.pointer) for cause in source.causes]
    problems += [Problem(str(each), source.pointer) for each in source.suggestions]
    for row in rows[:_MAX_LISTED]:
        problems.append(Problem(f"{_spell(row)}.", source.pointer, row.variable.name))
    more = (
        f"{len(rows) - _MAX_LISTED} more variables do not fit. " if len(rows) > _MAX_LISTED else ""
    )
    problems.append(
        Problem(
            f"{more}Under the policy 'strict' every included variable must fit: exclude those that "
            "do not, or use the policy 'skip_mismatch', which leaves them as they are.",
            source.pointer + "/policy",
            "strict",
            "skip_mismatch",
        )
    )
    return problems
