"""Descriptions of a model: the states of its versions, and its signatures."""

from collections.abc import Iterable, Sequence
from typing import Literal

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import IMAGES, INPUT, OUTPUT
from app.engine import ModelState
from app.protocols.tensorflow_serving.signatures import Inputs

_PREDICT = "tensorflow/serving/predict"

_Signatures = Literal["signature_def"]
DataType = Literal["DT_FLOAT", "DT_STRING"]
VersionState = Literal["AVAILABLE", "LOADING", "END"]


class TfsErrorBody(TypedDict):
    """Why a version failed to load."""

    error_code: Literal["OK", "UNKNOWN"]
    error_message: str


class TfsVersionStatusBody(TypedDict):
    """The state of a version."""

    version: str
    state: VersionState
    status: TfsErrorBody


class TfsStatusBody(TypedDict):
    """The states of versions."""

    model_version_status: list[TfsVersionStatusBody]


class TfsShapeBody(TypedDict):
    """A tensor's shape; -1 is the number of rows."""

    dim: list[dict[Literal["size", "name"], str]]
    unknown_rank: bool


class TfsTensorBody(TypedDict):
    """An input or output of a signature."""

    dtype: DataType
    tensor_shape: TfsShapeBody
    name: str


class TfsSignatureBody(TypedDict):
    """A signature: what it takes and returns."""

    inputs: dict[str, TfsTensorBody]
    outputs: dict[str, TfsTensorBody]
    method_name: str


class TfsModelSpecBody(TypedDict):
    """The version that metadata is about."""

    name: str
    signature_name: str
    version: str


class TfsMetadataBody(TypedDict):
    """The signatures of a version."""

    model_spec: TfsModelSpecBody
    metadata: dict[_Signatures, dict[_Signatures, dict[str, TfsSignatureBody]]]


def status(states: Iterable[tuple[int, ModelState]]) -> TfsStatusBody:
    """Return the states of versions.

    A version that is not in memory is available all the same: its next request loads it.
    """
    return {"model_version_status": [_version(version, state) for version, state in states]}


def _version(version: int, state: ModelState) -> TfsVersionStatusBody:
    word: VersionState = "LOADING" if state.state == "loading" else "AVAILABLE"
    error: TfsErrorBody = {"error_code": "OK", "error_message": ""}
    if state.state != "loading" and state.failed:
        word = "END"
        error = {"error_code": "UNKNOWN", "error_message": state.reason}
    return {"version": str(version), "state": word, "status": error}


def metadata(
    name: str, version: int, inputs: Inputs, output_shape: Sequence[int]
) -> TfsMetadataBody:
    """Return the signatures of a version; its output's shape is of one row."""
    output = _tensor(OUTPUT, "DT_FLOAT", output_shape)
    tensors = {
        INPUT: _tensor(INPUT, "DT_FLOAT", inputs.shape),
        IMAGES: _tensor(IMAGES, "DT_STRING", ()),
    }
    signatures: dict[str, TfsSignatureBody] = {
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


def _tensor(name: str, dtype: DataType, row: Sequence[int]) -> TfsTensorBody:
    return {
        "dtype": dtype,
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in (-1, *row)],
            "unknown_rank": False,
        },
        "name": f"{name}:0",
    }
