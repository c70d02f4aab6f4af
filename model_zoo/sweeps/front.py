"""The Pareto front: the rows that no other row beats in every objective."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from model_zoo.errors import OptionError, Problem, unknown_name
from model_zoo.sweeps.figures import FIGURES

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A total or what was measured, and whether less of it is better."""

    name: str
    direction: Direction

    def cost(self, figure: float) -> float:
        """Return what is better the smaller it is."""
        return figure if self.direction == "minimize" else -figure


def read_objectives(option: str, text: str) -> tuple[Objective, ...]:
    """Return the objectives of `parameters:minimize,multiply_adds:minimize`.

    Raises: OptionError.
    """
    objectives: list[Objective] = []
    for item in text.split(","):
        name, _, direction = item.strip().partition(":")
        if name not in FIGURES:
            rule = f"{option}: no row has {name!r}."
            raise OptionError(option, unknown_name("", rule, name, FIGURES))
        if direction not in get_args(Direction):
            rule = (
                f"{option}: {name} is either {name}:minimize or {name}:maximize; received {item!r}."
            )
            raise OptionError(option, Problem(rule, "", item, f"{name}:minimize"))
        if name in (other.name for other in objectives):
            raise OptionError(option, Problem(f"{option} names {name} twice.", "", text))
        objectives.append(Objective(name, "minimize" if direction == "minimize" else "maximize"))
    if len(objectives) < 2:
        rule = f"{option} takes two totals or more, as parameters:minimize,multiply_adds:minimize."
        raise OptionError(option, Problem(rule, "", text))
    return tuple(objectives)


def pareto_front(costs: Sequence[Sequence[float]]) -> set[int]:
    """Return the numbers of the points that no other dominates; the smaller a cost, the better.

    A point dominates another if it is nowhere worse and somewhere better, so equal points stay or
    fall together. Two costs take one sort; with more, each point is compared with the front so far.

    >>> sorted(pareto_front([(1, 4), (2, 2), (2, 3), (4, 1), (2, 2)]))
    [0, 1, 3, 4]
    """
    if not costs:
        return set()
    if len(costs[0]) == 2:
        best: list[int] = []
        for number in sorted(range(len(costs)), key=lambda number: tuple(costs[number])):
            last = costs[best[-1]] if best else None
            if last is None or costs[number][1] < last[1] or tuple(costs[number]) == tuple(last):
                best.append(number)
        return set(best)
    # In the order of `unique`, what comes later is nowhere better than all of what came before.
    points, which = np.unique(np.asarray(costs, np.float64), axis=0, return_inverse=True)
    front, size, stays = np.empty_like(points), 0, np.zeros(len(points), np.bool_)
    for number, point in enumerate(points):
        stays[number] = not (front[:size] <= point).all(axis=1).any()
        if stays[number]:
            front[size] = point
            size += 1
    return set(np.flatnonzero(stays[which.reshape(-1)]).tolist())
