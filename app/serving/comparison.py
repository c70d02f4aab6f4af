"""Compares networks: how far they agree on the same rows, and where their specs differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import Array
from app.wording import clip
from model_zoo import json_pointer, top_classes

MAX_DIFFERENCES = 100
# What two runtimes may differ by: a share of the largest value, or as little in nats.
_ROUNDING = 1e-4
_SMALLEST = 1e-6


class AgreementBody(TypedDict):
    """How far two outputs agree; null for what cannot be compared."""

    same_top_1: Annotated[
        float | None,
        Field(
            description="The share of rows with the same most probable class; classes within "
            "0.0001 of the largest value are as probable."
        ),
    ]
    largest_difference: Annotated[
        float | None, Field(description="The largest difference between two values.")
    ]
    mean_kl_divergence: Annotated[
        float | None, Field(description="Of the second from the first, in nats.")
    ]


class SpecDifferenceBody(TypedDict):
    """A value of the normalized specs that differs, by model; null values are values too."""

    pointer: Annotated[str, Field(description="Into the normalized specs.")]
    values: Annotated[dict[str, Any], Field(description="A model without the value is left out.")]


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a network, (rows, ...), and the number of classes it distinguishes, if any."""

    array: Array
    classes: int | None


def agreement(first: Output, second: Output) -> AgreementBody:
    """Return how far two outputs agree; None for what cannot be compared.

    Classes are compared only if both outputs distinguish the same number of them: class 0 of 1001
    is not class 0 of 1000.
    """
    same_rows = len(first.array) == len(second.array)
    comparable = same_rows and first.classes is not None and first.classes == second.classes
    return {
        "same_top_1": _same_top_1(first.array, second.array) if comparable else None,
        "largest_difference": _largest_difference(first.array, second.array),
        "mean_kl_divergence": _mean_kl(first.array, second.array) if comparable else None,
    }


def _same_top_1(first: Array, second: Array) -> float:
    """Return the share of rows for which both have the same most probable class."""
    pairs = zip(_rows(first), _rows(second), strict=True)
    same = [_agree(one, other) for one, other in pairs]
    return sum(same) / len(same)


def _agree(one: Array, other: Array) -> bool:
    """Return whether two rows have the same most probable class.

    Where the best of one is as good as the best of the other but for rounding, as in a row of equal
    values, it depends on the runtime and the batch which of them is first.
    """
    (best,), (other_best,) = top_classes(one, 1), top_classes(other, 1)
    return best == other_best or (_ties(one, best, other_best) and _ties(other, best, other_best))


def _ties(row: Array, first: int, second: int) -> bool:
    largest = np.abs(row[np.isfinite(row)]).max(initial=0)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return bool(abs(row[first] - row[second]) <= max(_ROUNDING * largest, _SMALLEST))


def _largest_difference(first: Array, second: Array) -> float | None:
    if first.shape != second.shape:
        return None
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return _number(np.abs(first.astype(np.float64) - second).max())


def _mean_kl(first: Array, second: Array) -> float | None:
    """Return KL(first || second) in nats, averaged over the rows."""
    one, other = _log_probabilities(first), _log_probabilities(second)
    with np.errstate(invalid="ignore"):
        # A divergence is never negative, but rounding can make it slightly so.
        return _number(np.maximum(np.sum(np.exp(one) * (one - other), axis=1), 0).mean())


def _log_probabilities(logits: Array) -> npt.NDArray[np.float64]:
    rows = _rows(logits).astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted = rows - rows.max(axis=1, keepdims=True)
        logs: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _rows(array: Array) -> Array:
    return array.reshape(len(array), -1)


def _number(value: np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def spec_differences(specs: Mapping[str, Mapping[str, Any]]) -> list[SpecDifferenceBody]:
    """Return the leaves that differ between specs: the JSON pointer, and the value in each spec.

    >>> spec_differences({"a": {"seed": 1, "scopes": []}, "b": {"seed": 2, "scopes": []}})
    [{'pointer': '/seed', 'values': {'a': 1, 'b': 2}}]
    """
    leaves = {name: dict(_leaves(spec)) for name, spec in specs.items()}
    pointers = dict.fromkeys(pointer for spec in leaves.values() for pointer in spec)
    differences: list[SpecDifferenceBody] = []
    for pointer in pointers:
        values = {name: spec[pointer] for name, spec in leaves.items() if pointer in spec}
        first, *others = values.values()
        # Python holds 1 and true for equal. (1 and 1.0 are the same in a normalized spec.)
        same = all(type(value) is type(first) and value == first for value in others)
        if len(values) < len(specs) or not same:
            shown = {name: clip(value) for name, value in values.items()}
            differences.append({"pointer": pointer, "values": shown})
    return differences


def _leaves(value: Any, path: Sequence[str | int] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, [*path, key])
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, [*path, index])
    else:
        yield json_pointer(*path), value
