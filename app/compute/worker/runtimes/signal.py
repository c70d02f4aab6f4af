"""The probe of a network: its signal, layer by layer."""

import json
import time

import numpy as np

from app.settings import variable
from app.tasks import MeasuredSignal, MeasureSignal
from model_zoo import BuildSpec, WeightLibrary, ZooError, probe, trace


def measure_signal(task: MeasureSignal, library: WeightLibrary) -> MeasuredSignal:
    """Return the probe of a network.

    Raises: ZooError if it cannot be computed, or not in time.
    """
    until = time.monotonic() + task.seconds_left
    traced = trace(BuildSpec.stored(task.specs.spec))
    inputs = None
    if task.batch is not None:
        inputs = np.frombuffer(task.batch, np.float32).reshape(-1, *traced.spec.input_shape)

    def check() -> None:
        if time.monotonic() > until:
            raise ZooError(
                "The probe took all the time of a request "
                f"({variable('request_timeout_s')}). Ask for fewer rows, or for one mode."
            )

    result = probe(
        traced,
        library,
        inputs=inputs,
        are_images=task.are_images,
        rows=task.rows,
        seed=task.seed,
        gradients=task.gradients,
        modes=task.modes,
        check=check,
    )
    return MeasuredSignal(json.dumps(result.to_dict(), allow_nan=False).encode())
