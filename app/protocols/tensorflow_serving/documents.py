"""Descriptions of a model: the states of its versions, and its signatures."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.arrays import IMAGES, INPUT, OUTPUT
from app.engine import ModelState
from app.protocols.tensorflow_serving.signatures import Inputs

_PREDICT = "tensorflow/serving/predict"


def status(states: Iterable[tuple[int, ModelState]]) -> dict[str, Any]:
    """Return the states of versions.

    A version that is not in memory is available all the same: its next request loads it.
    """
    return {"model_version_status": [_version(version, state) for version, state in states]}


def _version(version: int, state: ModelState) -> dict[str, Any]:
    word, code, message = "AVAILABLE", "OK", ""
    if state.state == "loading":
        word = "LOADING"
    elif state.failed:
        word, code, message = "END", "UNKNOWN", state.reason
    return {
        "version": str(version),
        "state": word,
        "status": {"error_code": code, "error_message": message},
    }


def metadata(
    name: str, version: int, inputs: Inputs, output_shape: Sequence[int]
) -> dict[str, Any]:
    """Return the signatures of a version; its output's shape is of one row."""
    output = _tensor(OUTPUT, "DT_FLOAT", output_shape)
    tensors = {
        INPUT: _tensor(INPUT, "DT_FLOAT", inputs.shape),
        IMAGES: _tensor(IMAGES, "DT_STRING", ()),
    }
    signatures = {
        signature: {
            "inputs": {each: tensors[each]},
            "outputs": {OUTPUT: output},
            "method_name": _PREDICT,
        }
        for signature, each in inputs.signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _tensor(name: str, dtype: str, row: Sequence[int]) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in (-1, *row)],
            "unknown_rank": False,
        },
        "name": f"{name}:0",
    }
