"""What int8 changes and gains, measured when a network is loaded."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from app.arrays import OUTPUT, Array
from app.compute.worker.runtimes import Runtime
from app.engine import DeviceName, Quantization
from model_zoo import ZooError

# Of the rows that are sent, the last of every so many calibrates nothing.
HELD_OUT_EVERY = 4


def check_int8(device: DeviceName) -> None:
    """Raises: ZooError if int8 cannot be computed here."""
    if device == "gpu":
        raise ZooError(
            "precision int8 is computed on CPUs; this service computes on a GPU. Use float32 or "
            "bfloat16."
        )


def calibrating(rows: Sequence[Array]) -> Iterator[Array]:
    """Yield the rows that calibrate, which are most of them.

    >>> list(calibrating([*range(9)]))
    [0, 1, 2, 4, 5, 6, 8]
    """
    return (rows[index] for index in range(len(rows)) if (index + 1) % HELD_OUT_EVERY)


def held_out(rows: Sequence[Array]) -> Iterator[Array]:
    """Yield the rows on which the result is compared with float32.

    >>> list(held_out([*range(9)]))
    [3, 7]
    """
    return (rows[index] for index in range(HELD_OUT_EVERY - 1, len(rows), HELD_OUT_EVERY))


def compare(
    int8: Runtime,
    float32: Runtime,
    rows: Sequence[Array],
    *,
    most_rows: int,
    has_classes: bool,
    seconds_per_row: Callable[[Runtime, Array], float],
) -> tuple[Quantization, float]:
    """Return what int8 changes on held-out rows, and the difference relative to the largest value.

    A batch of `most_rows` is timed, after a row alone.
    """
    largest = scale = 0.0
    count = agreeing = 0
    timed: list[Array] = []
    for row in held_out(rows):
        count += 1
        timed += [row] if count <= most_rows else []
        row = row[np.newaxis]
        one, other = (runtime.run(row, (OUTPUT,))[0] for runtime in (int8, float32))
        # Not a number anywhere makes the result one.
        largest = float(np.maximum(largest, np.abs(one - other).max(initial=0)))
        scale = float(np.maximum(scale, np.abs(other).max(initial=0)))
        agreeing += int(one.argmax()) == int(other.argmax())
    # In turns, so that what else runs slows both.
    batch = np.stack(timed)
    rounds = [[seconds_per_row(each, batch) for each in (int8, float32)] for _ in range(3)]
    quantization = Quantization(
        calibration_rows=len(rows) - count,
        held_out_rows=count,
        largest_difference=largest,
        agreement=agreeing / count if has_classes else None,
        seconds=min(each[0] for each in rounds),
        float32_seconds=min(each[1] for each in rounds),
    )
    return quantization, largest / max(scale, 1e-30)
