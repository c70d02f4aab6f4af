"""Chooses the device that networks run on. Only the worker does: this may import TensorFlow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from app.compute.gpus import may_have_gpu, nvidia_devices
from app.engine import DeviceError, DeviceName


def choose_device(setting: Literal["auto", "cpu", "gpu"]) -> DeviceName:
    """Return the device that a setting selects.

    TensorFlow takes seconds to import, and does not look for a GPU where there can be none.
    Raises: DeviceError if it must be a GPU and TensorFlow cannot use one; says why.
    """
    if not may_have_gpu(setting):
        return "cpu"
    with _quiet():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    if setting == "gpu" and not gpus:
        raise DeviceError(f"ZOO_DEVICE=gpu, but {_why_no_gpu(tf.test.is_built_with_cuda())}")
    return "gpu" if gpus else "cpu"


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what native code logs while it is loaded, whatever the log level.

    It reports a missing GPU as an error on every machine without one.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _why_no_gpu(built_with_cuda: bool) -> str:
    if not built_with_cuda:
        return (
            "this TensorFlow is built without CUDA. Install the gpu variant, or set "
            "ZOO_DEVICE=auto."
        )
    if not nvidia_devices():
        return (
            "there is no NVIDIA device here (/dev/nvidia*). Start the container with its GPU "
            "(docker run --gpus all), or set ZOO_DEVICE=auto."
        )
    return (
        "TensorFlow cannot load CUDA, though there is a device. TF_CPP_MIN_LOG_LEVEL=0 shows which "
        "library it misses."
    )
