"""Sweeps of LeNet, and what is said of those that are refused."""

from typing import Any

import pytest

from model_zoo import Sweep, ZooError, sweep

LENET: dict[str, Any] = {"architecture": "lenet"}
CLASSES = "/params/num_classes"


def over(axes: dict[str, Any], **more: Any) -> Sweep:
    """Return the sweep of LeNet over axes."""
    return sweep({"spec": LENET, "axes": axes, **more})


def listed(axis: Any, **more: Any) -> list[Any]:
    """Return the values of an axis, row by row."""
    rows = over({CLASSES: axis}, **more)
    return [rows.values(index)[CLASSES] for index in range(rows.rows)]


def refusals(document: Any, **options: Any) -> list[tuple[str, str]]:
    """Return the pointers and messages of the problems of a sweep."""
    with pytest.raises(ZooError) as caught:
        sweep(document, **options)
    return [(problem.pointer, problem.message) for problem in caught.value.problems]
