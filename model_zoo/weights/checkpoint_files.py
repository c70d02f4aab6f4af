"""TF-Slim's checkpoints, written by TensorFlow from arrays: no Keras model is made for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from model_zoo.weights.packing import write_tar_gz
from model_zoo.weights.savable import SavableWeights

CHECKPOINT = "model.ckpt"


def write_checkpoint(model: SavableWeights, path: Path) -> None:
    """Write every variable by TF-Slim's name, and `global_step`, which TF-Slim's scripts restore.

    The archive's `checkpoint` file lets `tf.train.latest_checkpoint` find them once unpacked.
    """
    state = f'model_checkpoint_path: "{CHECKPOINT}"\nall_model_checkpoint_paths: "{CHECKPOINT}"\n'
    files = save_tensors(all_values(model), path.with_name(CHECKPOINT))
    write_tar_gz(path, {"checkpoint": state.encode(), **{file.name: file for file in files}})


def all_values(model: SavableWeights) -> dict[str, Any]:
    """Return every variable by TF-Slim's name, and `global_step`."""
    return {**model.weights(), "global_step": np.int64(model.global_step)}


def save_tensors(values: Mapping[str, Any], prefix: Path) -> list[Path]:
    """Write a V2 checkpoint, and return its files."""
    names = sorted(values)
    # With a GPU the values would only be copied back and forth.
    with tf.device("CPU"):
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(values[name]) for name in names],
        )
    return [prefix.with_name(prefix.name + end) for end in (".index", ".data-00000-of-00001")]
