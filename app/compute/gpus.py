"""Where there can be no GPU, without asking TensorFlow, which takes seconds to import."""

from pathlib import Path
from typing import Literal


def nvidia_devices() -> list[Path]:
    """Return the devices of NVIDIA's driver, one a GPU."""
    return list(Path("/dev").glob("nvidia[0-9]*"))


def may_have_gpu(setting: Literal["auto", "cpu", "gpu"]) -> bool:
    """Return whether networks may run on a GPU, as a setting says; TensorFlow knows for sure."""
    return setting == "gpu" or (setting == "auto" and bool(nvidia_devices()))
