"""The profile of a network, measured on the engine that a task names."""

import time

from app.compute.worker.runtimes import Runtime
from app.compute.worker.runtimes.layer_times import Repeats
from app.compute.worker.runtimes.loading import check_bfloat16, make_runtime, sample
from app.engine import DeviceName
from app.settings import Settings
from app.tasks import MeasuredProfile, MeasureProfile
from model_zoo import BuildSpec, WeightLibrary, trace


def profile(
    task: MeasureProfile,
    library: WeightLibrary,
    settings: Settings,
    device: DeviceName,
    loaded: Runtime | None,
) -> MeasuredProfile:
    """Return the profile of a network; `loaded` is its runtime, if it is in memory.

    Raises: ZooError if it cannot be computed so here.
    """
    now = time.monotonic()
    engine, precision = task.engine, task.precision
    if precision == "bfloat16":
        check_bfloat16(device, engine)
    traced = trace(BuildSpec.stored(task.specs.spec))
    rows = sample(traced, task.rows)
    repeats = Repeats(task.runs, now + task.layers_left, now + task.network_left)
    # Each engine is imported when it is first needed.
    if engine == "onnxruntime":
        from app.compute.worker.runtimes.onnx_profile import profile_onnx

        return profile_onnx(traced, library, rows, repeats)
    from app.compute.worker.runtimes.keras_profile import profile_keras

    assert precision != "int8"  # which is ONNX Runtime's
    if loaded is None or loaded.name != "tensorflow":
        loaded = make_runtime("tensorflow", traced, library, settings, precision)
    return profile_keras(traced, library, rows, repeats, loaded, device, precision)
