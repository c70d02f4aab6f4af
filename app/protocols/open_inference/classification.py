"""The classification extension: the best classes of each row, as strings."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.protocols.open_inference.fields import refused

# Of an output; Triton's limit.
_MAX_VALUES = 1_000_000


def check_classification(name: str, values: int) -> None:
    """Raises: InputError if an output has too many values to be sorted."""
    if values > _MAX_VALUES:
        message = (
            f"Output {name!r} has {values} values; classification sorts {_MAX_VALUES} at most."
        )
        raise refused("/outputs", message, values)


def best_classes(
    array: npt.NDArray[np.float32], count: int, names: Sequence[str] = ()
) -> tuple[list[int], list[str]]:
    """Return the shape, and `value:index` of the best `count` classes of each row.

    Each value of a row is a class; `names` are those of all classes, and `:name` follows the index.
    Among equals the lower index is first; NaN is last.

    >>> best_classes(np.array([[0.5, 2, 2]], np.float32), 2)
    ([1, 2], ['2.000000:1', '2.000000:2'])
    >>> best_classes(np.array([[0.5, 2]], np.float32), 1, ["cat", "dog"])
    ([1, 1], ['2.000000:1:dog'])
    """
    rows = array.reshape(len(array), -1)
    count = min(count, rows.shape[1])
    best = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(rows, best, axis=1)
    texts = [
        f"{value:f}:{index}:{names[index]}" if names else f"{value:f}:{index}"
        for value, index in zip(values.ravel().tolist(), best.ravel().tolist(), strict=True)
    ]
    return [len(rows), count], texts
