"""The metadata and the configuration of a model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import IMAGES, INPUT, OUTPUT
from app.engine import ModelState, Quantization
from app.protocols.open_inference.signature import DATATYPES
from model_zoo import spell_names

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "statistics",
)
PLATFORM = "modelzoo_graph"
_BACKEND = "modelzoo"
InputFormat = Literal["FORMAT_NHWC", "FORMAT_NONE"]


class V2TensorMetadataBody(TypedDict):
    """An input or output."""

    name: str
    datatype: str
    shape: Annotated[list[int], Field(description="-1 is the number of rows.")]


class V2ModelMetadataBody(TypedDict):
    """The metadata of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[V2TensorMetadataBody]
    outputs: list[V2TensorMetadataBody]
    properties: Annotated[
        dict[str, str], Field(description="The build, all outputs, and how the model runs.")
    ]


class V2ConfigOutputBody(TypedDict):
    """An output, as Triton's configuration describes it."""

    name: str
    data_type: str
    dims: Annotated[list[int], Field(description="Of one row; a single number has [1].")]


class V2ConfigInputBody(V2ConfigOutputBody):
    """An input, as Triton's configuration describes it."""

    format: Annotated[InputFormat, Field(description="NHWC for images, NONE for all else.")]


class V2DynamicBatchingBody(TypedDict):
    """How requests are batched."""

    preferred_batch_size: list[int]
    max_queue_delay_microseconds: int


class V2ModelConfigBody(TypedDict):
    """The configuration of a model, as Triton writes it."""

    name: str
    platform: str
    backend: str
    version_policy: dict[str, dict[str, str]]
    max_batch_size: int
    input: Annotated[list[V2ConfigInputBody], Field(description="One.")]
    output: Annotated[list[V2ConfigOutputBody], Field(description="One; more in `parameters`.")]
    dynamic_batching: NotRequired[
        Annotated[
            V2DynamicBatchingBody,
            Field(description="Left out if the rows of a batch change each other's outputs."),
        ]
    ]
    parameters: Annotated[
        dict[str, dict[Literal["string_value"], str]],
        Field(description="The build, its spec, all outputs with their dims, and image_bytes."),
    ]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A version of a model; shapes are of one row."""

    name: str
    build: str
    architecture: str
    spec: Mapping[str, Any]
    preprocessing: str
    input_shape: tuple[int, ...]
    # The output first, then probabilities if there are any, and end points.
    outputs: Mapping[str, tuple[int, ...]]
    max_batch: int
    batch_delay_s: float
    state: ModelState
    takes_images: bool
    # The layers that use the statistics of the batch, so that requests are computed one at a time.
    batch_statistics: tuple[str, ...] = ()


def model_metadata(facts: ModelFacts, versions: Sequence[int]) -> V2ModelMetadataBody:
    """Return the metadata: the input and output that a client should use by default."""
    return {
        "name": facts.name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": [_tensor(INPUT, facts.input_shape)],
        "outputs": [_tensor(OUTPUT, facts.outputs[OUTPUT])],
        "properties": _properties(facts),
    }


def _tensor(name: str, row: tuple[int, ...]) -> V2TensorMetadataBody:
    return {"name": name, "datatype": DATATYPES[INPUT], "shape": [-1, *row]}


def _properties(facts: ModelFacts) -> dict[str, str]:
    state = facts.state
    properties = {
        "build": facts.build,
        "architecture": facts.architecture,
        "preprocessing": facts.preprocessing,
        "outputs": ", ".join(facts.outputs),
        "state": state.state,
    }
    if facts.takes_images:
        properties[IMAGES] = _images_in_place(facts)
    if facts.batch_statistics:
        properties["batch_statistics"] = spell_names(facts.batch_statistics)
    if state.engine:
        properties["engine"] = state.engine
    if state.precision:
        properties["precision"] = state.precision
    if state.size_bytes:
        properties["memory_bytes"] = str(state.size_bytes)
    if state.warmed:
        properties["warmed_batch_sizes"] = ", ".join(map(str, state.warmed))
    if state.difference is not None:
        properties["measured_difference"] = f"{state.difference:g}"
    if state.quantization is not None:
        properties |= _quantization(state.quantization)
    return properties


def _quantization(quantization: Quantization) -> dict[str, str]:
    properties = {
        "calibration_rows": str(quantization.calibration_rows),
        "held_out_rows": str(quantization.held_out_rows),
        "measured_largest_difference": f"{quantization.largest_difference:g}",
        "measured_gain": f"{quantization.gain:.3g}",
    }
    if quantization.agreement is not None:
        properties["measured_agreement"] = f"{quantization.agreement:.3g}"
    return properties


def _images_in_place(facts: ModelFacts) -> str:
    return (
        f"May be sent instead of {INPUT}: {DATATYPES[IMAGES]} of shape [-1], JPEG, PNG or WebP "
        f"files, which are given the {facts.preprocessing} preprocessing. In JSON: base64."
    )


def model_config(facts: ModelFacts) -> V2ModelConfigBody:
    """Return the configuration as Triton writes one; dims are without the batch dimension.

    It has one input and one output, as Triton's example clients demand of a classifier; what else
    can be sent and requested is in the parameters.
    """
    is_image = len(facts.input_shape) == 3
    config: V2ModelConfigBody = {
        "name": facts.name,
        "platform": PLATFORM,
        "backend": _BACKEND,
        "version_policy": {"all": {}},
        "max_batch_size": facts.max_batch,
        "input": [
            {
                **_config_tensor(INPUT, facts.input_shape),
                "format": "FORMAT_NHWC" if is_image else "FORMAT_NONE",
            }
        ],
        "output": [_config_tensor(OUTPUT, facts.outputs[OUTPUT])],
        "parameters": {
            key: {"string_value": value} for key, value in _config_parameters(facts).items()
        },
    }
    if not facts.batch_statistics:
        config["dynamic_batching"] = {
            "preferred_batch_size": [rows for rows in facts.state.warmed if rows > 1],
            "max_queue_delay_microseconds": round(facts.batch_delay_s * 1e6),
        }
    return config


def _config_tensor(name: str, row: tuple[int, ...]) -> V2ConfigOutputBody:
    # Triton has no empty dims.
    return {"name": name, "data_type": "TYPE_FP32", "dims": list(row) or [1]}


def _config_parameters(facts: ModelFacts) -> dict[str, str]:
    spec, state = facts.spec, facts.state
    images = {IMAGES: _images_in_place(facts)} if facts.takes_images else {}
    return {
        "build": facts.build,
        "architecture": facts.architecture,
        "preprocessing": facts.preprocessing,
        **images,
        "outputs": json.dumps({name: list(row) for name, row in facts.outputs.items()}),
        "spec": json.dumps(spec),
        "default_scope": json.dumps(spec.get("default_scope")),
        "scopes": json.dumps(spec.get("scopes", [])),
        "engine": state.engine or "",
        "precision": state.precision or "",
    }
