"""Sweeps: read a document, number its rows, and trace them.

>>> document = {
...     "spec": {"architecture": "mobilenet_v1", "input_shape": [128, 128, 3]},
...     "axes": {"/params/depth_multiplier": [0.25, 0.5, 1]},
... }
>>> for row in sweep(document):
...     print(row.values, row.totals["parameters"])
{'/params/depth_multiplier': 0.25} 475801
{'/params/depth_multiplier': 0.5} 1343049
{'/params/depth_multiplier': 1} 4254889
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from model_zoo.budget import Budget
from model_zoo.errors import MAX_PROBLEMS, BudgetError, Problem, SpecError, json_pointer
from model_zoo.saved_scopes import ScopeLibrary
from model_zoo.sweeps.conditions import Condition, read_condition
from model_zoo.sweeps.format import SweepRequest, read_request
from model_zoo.sweeps.reuse import RowTracer
from model_zoo.sweeps.rows import (
    PredictedDocument,
    RowKey,
    RowOutcome,
    SweepRow,
    SweepRowDocument,
    identify_row,
)
from model_zoo.sweeps.scopes import PinnedScopes, ScopePinner
from model_zoo.sweeps.spaces import Space, read_space

# Part of the digest: a change of meaning gives every sweep a new id.
SWEEP_VERSION = 1


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that was read: its rows are numbered, and none is traced yet.

    `id` is the digest of the document: equal for sweeps of the same rows in the same order.
    `document` is a request for the same sweep, in which every name whose meaning may change is
    resolved: those of saved scopes are whole references, and a glob is the names that it fits.
    """

    id: str
    document: Mapping[str, Any]
    spaces: tuple[Space, ...]
    conditions: tuple[Condition, ...]
    scopes: PinnedScopes
    budget: Budget

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(space.rows for space in self.spaces)

    @property
    def rows_in_words(self) -> str:
        """How many rows there are, and why.

        >>> sweep(
        ...     {
        ...         "spec": {"architecture": "lenet"},
        ...         "axes": {"/params/num_classes": [2, 3], "/is_training": [True, False]},
        ...     }
        ... ).rows_in_words
        '4 = 2 x 2'
        """
        return _in_words(self.spaces)

    @property
    def predicts(self) -> bool:
        """Whether its rows have a predicted gain."""
        return "predicted_gain" in self.document.get("columns", ())

    @property
    def places(self) -> tuple[str, ...]:
        """The places that rows set, in the order of the document."""
        return tuple(dict.fromkeys(place for space in self.spaces for place in space.places))

    def values(self, index: int) -> dict[str, JsonValue]:
        """Return what a row sets, by place."""
        space, row = self._at(index)
        return space.values(row)

    def spec(self, index: int) -> dict[str, Any]:
        """Return the spec of a row."""
        space, row = self._at(index)
        return space.spec(space.values(row))

    def _at(self, index: int) -> tuple[Space, int]:
        row = index
        for space in self.spaces:
            if 0 <= row < space.rows:
                return space, row
            row -= space.rows
        raise IndexError(f"The sweep has {self.rows} rows, numbered from 0; received {index}.")

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[SweepRow]:
        """Trace the rows, one after the other."""
        rows, tracer = SweepRows(self), RowTracer(self.budget)
        known: dict[RowKey, RowOutcome] = {}
        for index in range(self.rows):
            identified = identify_row(self.spec(index), self.scopes, self.budget)
            key, spec, outcome = identified.key, identified.spec, identified.outcome
            if key is not None and spec is not None:
                if key not in known:
                    known[key] = tracer.outcome(spec, predicts=self.predicts)
                outcome = known[key]
            yield rows.row(index, key, outcome)


class SweepRows:
    """Makes the rows of a sweep, in their order, of what their specs came to."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._first: dict[RowKey, int] = {}

    def meet(self, rows: Iterable[SweepRowDocument]) -> None:
        """Take rows of an earlier run, with which the next ones are compared."""
        for row in rows:
            if row["build"] is not None and row["status"] != "duplicate":
                is_strict = self._sweep.spec(row["index"]).get("strict") is True
                self._first.setdefault((row["build"], is_strict), row["index"])

    def row(self, index: int, key: RowKey | None, outcome: RowOutcome) -> SweepRow:
        """Return the next row: what its spec came to, or that a row before it means the same."""
        values = self._sweep.values(index)
        if self._sweep.predicts != (outcome.predicted is not None):
            # A refused row has the column too, and one that is known from another sweep lacks it.
            nothing: PredictedDocument = {"predicted_gain": None, "unpredictable": None}
            outcome = replace(outcome, predicted=nothing if self._sweep.predicts else None)
        first = index if key is None else self._first.setdefault(key, index)
        if first != index:
            return SweepRow(index, values, "duplicate", outcome, duplicate_of=first)
        if outcome.totals is None:
            return SweepRow(index, values, "refused", outcome)
        meets = all(condition.holds(outcome) for condition in self._sweep.conditions)
        return SweepRow(index, values, "traced" if meets else "filtered", outcome)


def sweep(
    document: object,
    scopes: ScopeLibrary | None = None,
    budget: Budget | None = None,
    max_rows: int | None = None,
) -> Sweep:
    """Return the sweep of a document; iterating over it traces its rows.

    The document is an object: `spec`, a build spec; `axes`, what varies, by its place in the spec;
    and `method`, `union`, `where`, `columns`, `run_cap`, `seed`. `scopes` has the saved scopes that
    it names.
    A configuration that is refused, or over the budget, is a row too, and stops no other.

    Raises: SpecError with a problem for each mistake; BudgetError if there are more rows than
    `run_cap` or `max_rows`.
    """
    request = read_request(document)
    budget = budget or Budget()
    pinner = ScopePinner(scopes)
    problems: list[Problem] = list(_misplaced(request))
    spaces: list[Space] = []
    draws = request.run_cap if request.method == "random" else None
    specs: dict[str, dict[str, Any]] = {}
    for base, axes, where, spec_at in _spaces(request):
        if len(problems) > MAX_PROBLEMS:
            break  # enough to mend; each space may hold as many
        try:
            if spec_at not in specs:
                specs[spec_at] = pinner.spec(base)
        except SpecError as error:
            error.move_to(spec_at)
            # Spaces without a spec of their own share this one, and its mistakes.
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        try:
            spaces.append(read_space(specs[spec_at], axes, where, pinner, request.seed, draws))
        except SpecError as error:
            problems += error.problems
    conditions: list[Condition] = []
    for index, text in enumerate(request.where):
        try:
            conditions.append(read_condition(text, request.columns))
        except SpecError as error:
            error.move_to(json_pointer("where", index))
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    _check_rows(spaces, request.run_cap, max_rows, budget)
    document = _resolved(request, spaces, conditions)
    return Sweep(
        _digest(document, spaces),
        document,
        tuple(spaces),
        tuple(conditions),
        pinner.pinned,
        budget,
    )


def _misplaced(request: SweepRequest) -> Iterator[Problem]:
    """Yield a problem for each field that goes with no other one of the request."""
    if request.union and request.axes:
        rule = "A sweep has axes, or a union of spaces with axes of their own, but not both."
        yield Problem(rule, "/axes")
    if request.union and request.spec and all(space.spec is not None for space in request.union):
        rule = "Each space of the union has a spec of its own, so none starts from this one."
        yield Problem(rule, "/spec")
    if request.method == "random":
        if request.run_cap is None:
            yield Problem("A random sweep needs run_cap: how many rows it draws.", "/run_cap")
        if request.union:
            yield Problem("A union is of grids; a random sweep has axes alone.", "/union")


def _spaces(
    request: SweepRequest,
) -> Iterator[tuple[dict[str, JsonValue], dict[str, JsonValue], str, str]]:
    """Yield the base and the axes of each space, with the pointers of the axes and of the base."""
    if not request.union:
        yield request.spec, request.axes, "/axes", "/spec"
    for index, space in enumerate(request.union):
        base, where = (request.spec, "/spec")
        if space.spec is not None:
            base, where = space.spec, json_pointer("union", index, "spec")
        yield base, space.axes, json_pointer("union", index, "axes"), where


def _check_rows(
    spaces: list[Space], run_cap: int | None, max_rows: int | None, budget: Budget
) -> None:
    """Raises: BudgetError if the spaces have more rows than a limit."""
    rows = sum(space.rows for space in spaces)
    setting = f"{budget.setting_prefix}max_sweep_rows"
    limits = {
        "run_cap": run_cap,
        setting.upper() if budget.setting_prefix else setting: max_rows,
    }
    for name, limit in limits.items():
        if limit is not None and rows > limit:
            rule = f"This sweep has {_in_words(spaces)} rows; the limit is {limit} ({name})."
            raise BudgetError(Problem(rule, "", rows))


def _in_words(spaces: Sequence[Space]) -> str:
    products = [" x ".join(map(str, space.counts)) or "1" for space in spaces]
    rows, terms = str(sum(space.rows for space in spaces)), " + ".join(products)
    return rows if terms == rows else f"{rows} = {terms}"


def _resolved(
    request: SweepRequest, spaces: Sequence[Space], conditions: Sequence[Condition]
) -> dict[str, Any]:
    """Return a request for the same sweep, with every default filled in and every name resolved."""
    base: dict[str, Any] = {"spec": spaces[0].base, "axes": spaces[0].to_dict()}
    if request.union:
        # A base that spaces share stands there once: 32 of them may name one of a megabyte.
        pairs = list(zip(request.union, spaces, strict=True))
        shared = [space.base for requested, space in pairs if requested.spec is None]
        base = {"spec": shared[0]} if shared else {}
        base["union"] = [
            {**({} if requested.spec is None else {"spec": space.base}), "axes": space.to_dict()}
            for requested, space in pairs
        ]
    return {
        "method": request.method,
        **base,
        "where": [str(condition) for condition in conditions],
        **({"columns": request.columns} if request.columns else {}),
        # A grid of no more rows is the same with it.
        **({"run_cap": request.run_cap} if request.method == "random" else {}),
        "seed": request.seed,
    }


def _digest(document: Mapping[str, Any], spaces: Sequence[Space]) -> str:
    """Return the id of a sweep; spaces that share a base mean the same as with one each."""
    distinct = {id(space.base): space.base for space in spaces}
    bases = {number: _hash(base) for number, base in distinct.items()}
    meaning = {"version": SWEEP_VERSION, **document}
    meaning["spaces"] = [(bases[id(space.base)], space.ordered_axes()) for space in spaces]
    for name in ("spec", "axes", "union"):
        meaning.pop(name, None)
    return _hash(meaning)[:32]


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
