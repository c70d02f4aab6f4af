"""What a restore would do, variable by variable: records, and how they are shown."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

from model_zoo.errors import Problem, WeightsError, json_pointer
from model_zoo.graph import Variable
from model_zoo.weight_sources import StoredWeights
from model_zoo.weights.causes import unused_kind
from model_zoo.weights.plan_documents import (
    FILLED,
    OriginDocument,
    RestoreDocument,
    RestoreFigures,
    RestoreSummary,
    RowDocument,
    SourceDocument,
    SourceSummary,
    Status,
    StoredWeightsDocument,
)
from model_zoo.weights.shapes import Reordering
from model_zoo.weights.suggestions import Suggestion

# In a refusal, and in a warning; the plan itself lists them all.
_MAX_LISTED = 20
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a plan needs of a tensor: NumPy's name of the dtype, and the shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What a source has for one variable that it is to fill; `name` is the source's own.

    `reordering` says how a value of another shape or order becomes the variable's.
    """

    variable: Variable
    status: Status
    name: str | None = None
    shape: tuple[int, ...] | None = None
    reordering: Reordering | None = None

    def to_dict(self) -> RowDocument:
        """Return the row, JSON-ready."""
        return {
            "name": self.variable.name,
            "shape": list(self.variable.shape),
            "status": self.status,
            "name_in_source": self.name,
            "shape_in_source": None if self.shape is None else list(self.shape),
        }


class Comments(NamedTuple):
    """What is said of a source: `causes` say why something does not fit.

    `notes` say what was done so that the rest does, and `mistakes` what of the spec is wrong.
    """

    causes: Sequence[str]
    suggestions: Sequence[Suggestion]
    notes: Sequence[str]
    mistakes: Sequence[Problem]


@dataclass(frozen=True)
class SourcePlan:
    """What one source gives: a row for each variable it is to fill, and what it has left over.

    It is commented only when that is read: to compare patterns with all names takes much longer
    than the rows, and of the sources of a source the values alone are needed.
    """

    source: StoredWeights
    pointer: str
    rows: Sequence[Row]
    unused: Mapping[str, TensorInfo]
    comment: Callable[[], Comments]
    global_step: int | None

    @cached_property
    def _comments(self) -> Comments:
        return self.comment()

    @property
    def causes(self) -> Sequence[str]:
        return self._comments.causes

    @property
    def suggestions(self) -> Sequence[Suggestion]:
        return self._comments.suggestions

    @property
    def notes(self) -> Sequence[str]:
        return self._comments.notes

    @property
    def mistakes(self) -> Sequence[Problem]:
        return self._comments.mistakes

    @property
    def not_filled(self) -> list[Row]:
        """The variables that it is to fill and does not."""
        return [row for row in self.rows if row.status not in FILLED]

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


def last_step(steps: Iterable[int | None]) -> int | None:
    """Return the last step that is known; None if none is, or it is 0."""
    return next((step for step in reversed(list(steps)) if step is not None), 0) or None


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What all sources together give.

    `origins` has the number of a variable's source and its row there; without one it is random.
    """

    variables: Sequence[Variable]
    sources: Sequence[SourcePlan]
    origins: Mapping[str, tuple[int, Row]]

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
        return last_step(source.global_step for source in self.sources) or 0

    @property
    def warnings(self) -> list[str]:
        """What sources that are not strict leave unfilled, and why; what was done to fit the rest.

        What a strict source lacks is an error instead: see `check`. Pointers are those of the
        normalized spec, in which a random source comes first.
        """
        warnings = []
        for number, source in enumerate(self.sources, 1):
            lines = list(source.notes)
            if source.source.policy != "strict" and source.not_filled:
                lines += [self._lack(source), *source.causes, *map(str, source.suggestions)]
            warnings += [f"{json_pointer('weights', number)}: {line}" for line in lines]
        return warnings

    def _lack(self, source: SourcePlan) -> str:
        """Return how much a source leaves unfilled, and what becomes of it."""
        lacking = [row.variable for row in source.not_filled]
        random = [variable for variable in lacking if variable.name not in self.origins]
        size, total = sum(v.size for v in lacking), sum(v.size for v in self.variables)
        names = ", ".join(v.name for v in lacking[:_MAX_NAMED])
        names += f" and {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
        if not random:
            rest = f"Other sources fill {'it' if len(lacking) == 1 else 'them'}."
        elif len(random) == len(lacking):
            rest = "It stays random." if len(lacking) == 1 else "They stay random."
        else:
            stay = "stays" if len(random) == 1 else "stay"
            rest = f"{len(random)} of them {stay} random; other sources fill the rest."
        share = f"{size / total:.1%}" if size / total >= 0.0005 else "less than 0.1%"
        return (
            f"This source does not fill {len(lacking)} of the {len(source.rows)} variables that it "
            f"should, {size:,} of the build's {total:,} parameters ({share}): {names}. "
            f"{rest}"
        )

    def check(self) -> None:
        """Raises: WeightsError if a strict source lacks something, or any fills nothing."""
        problems: list[Problem] = []
        for source in self.sources:
            problems += source.mistakes
            lacking = source.not_filled
            if source.source.policy == "strict" and lacking:
                problems += _refusals(source, lacking)
            elif len(lacking) == len(source.rows):
                problems += _fills_nothing(source)
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
            index, row = self.origins.get(variable.name, (None, None))
            name = None if row is None else row.name
            origins.append({"name": variable.name, "from": index, "name_in_source": name})
        return {
            **self._figures(),
            "sources": [source.to_dict() for source in self.sources],
            "variables": origins,
            "warnings": self.warnings,
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
            lines += [f"  {each}" for each in (*source.suggestions, *source.notes)]
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


def _reasons(source: SourcePlan) -> list[Problem]:
    problems = [Problem(cause, source.pointer) for cause in source.causes]
    return problems + [Problem(str(each), source.pointer) for each in source.suggestions]


def _fills_nothing(source: SourcePlan) -> list[Problem]:
    """Return why a source is refused that would leave all as it is, whatever its policy."""
    if not source.rows:
        what = "include and exclude leave this source no variable to fill."
    else:
        what = f"This source fills none of the {len(source.rows)} variables that it should."
    return [Problem(what, source.pointer), *_reasons(source)]


def _refusals(source: SourcePlan, rows: Sequence[Row]) -> list[Problem]:
    """Return why a strict source is refused: the known causes first, then the variables."""
    problems = _reasons(source)
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
