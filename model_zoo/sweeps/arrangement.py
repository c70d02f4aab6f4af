"""Rows in another order than a sweep's, and the rows of the Pareto front among them."""

import json
from collections.abc import Collection, Iterable, Sequence

from model_zoo.errors import OptionError, unknown_name
from model_zoo.sweeps.figures import FIGURES, figure
from model_zoo.sweeps.front import Objective, pareto_front
from model_zoo.sweeps.rows import RowStatus, SweepRowDocument


def arrange(
    rows: Iterable[SweepRowDocument],
    places: Sequence[str],
    *,
    sort: str | None = None,
    objectives: Sequence[Objective] = (),
    include_dominated: bool = True,
    statuses: Collection[RowStatus] = (),
) -> list[SweepRowDocument]:
    """Return the rows of some statuses, or of all, in an order.

    `sort` is `index`, a total, what was measured, or a place that the axes set; a `-` before it
    turns the order round, and rows that lack it come last. With objectives, each row says whether
    it is on the Pareto front of the traced rows that have them all; without `include_dominated`,
    only those that are stay.

    Raises: OptionError for a `sort` that no row has.
    """
    chosen = list(rows)
    if objectives:
        chosen = _with_front(chosen, objectives)
    if statuses:
        chosen = [row for row in chosen if row["status"] in statuses]
    if objectives and not include_dominated:
        chosen = [row for row in chosen if row["front"]]
    return chosen if sort is None else _sorted(chosen, places, sort)


def _with_front(
    rows: Sequence[SweepRowDocument], objectives: Sequence[Objective]
) -> list[SweepRowDocument]:
    traced: list[int] = []
    costs: list[list[float]] = []
    for row in rows:
        figures = [figure(row, each.name) for each in objectives]
        if row["status"] == "traced" and None not in figures:
            traced.append(row["index"])
            pairs = zip(objectives, figures, strict=True)
            costs.append([each.cost(value or 0.0) for each, value in pairs])
    best = {traced[number] for number in pareto_front(costs)}
    return [{**row, "front": row["index"] in best} for row in rows]


def _sorted(
    rows: Sequence[SweepRowDocument], places: Sequence[str], sort: str
) -> list[SweepRowDocument]:
    name = sort.removeprefix("-")
    names = ("index", *FIGURES, *places)
    if name not in names:
        raise OptionError("sort", unknown_name("", f"sort does not accept {sort!r}.", name, names))
    keys = [(_key(row, name), row) for row in rows]
    having = [(key, row) for key, row in keys if key is not None]
    having.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [row for _, row in having] + [row for key, row in keys if key is None]


def _key(row: SweepRowDocument, name: str) -> tuple[int, float, str] | None:
    """Return what a row is sorted by; numbers come before text, and text before other JSON."""
    if name == "index":
        return 0, row["index"], ""
    if not name.startswith("/"):
        number = figure(row, name)
        return None if number is None else (0, number, "")
    if name not in row["values"]:
        return None
    value = row["values"][name]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return 0, value, ""
    if isinstance(value, str):
        return 1, 0, value
    return 2, 0, json.dumps(value)
