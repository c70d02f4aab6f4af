"""Writes the answer to an inference request: JSON, and the binary outputs after it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, NotRequired

from pydantic import Field, JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import OUTPUT, PROBABILITIES, Array, Buffer
from app.protocols.open_inference.classification import best_classes
from app.protocols.open_inference.request import InferRequest, RequestedOutput
from app.protocols.open_inference.tensors import bytes_tensor, float32_json, float32_tensor

_OF_CLASSES = (OUTPUT, PROBABILITIES)


class _OutputHead(TypedDict):
    name: str
    datatype: str
    shape: list[int]


class V2OutputBody(_OutputHead):
    """An output: its data, or the size of its binary data after the JSON."""

    data: NotRequired[
        Annotated[list[JsonValue], Field(description="Flat; or `value:class[:name]` as strings.")]
    ]
    parameters: NotRequired[dict[Literal["binary_data_size"], int]]


class _ResponseHead(TypedDict):
    model_name: str
    model_version: str
    id: NotRequired[str]
    parameters: NotRequired[dict[Literal["warnings"], str]]


class V2InferResponseBody(_ResponseHead):
    """The answer to an inference request."""

    outputs: list[V2OutputBody]


class Encoded(NamedTuple):
    """An answer; `json_bytes` is None if all of it is JSON."""

    body: bytes
    json_bytes: int | None


def encode_response(
    name: str,
    version: str,
    request: InferRequest,
    arrays: Mapping[str, Array],
    warnings: Sequence[str] = (),
    class_names: Sequence[str] = (),
) -> Encoded:
    """Return the answer, with the outputs in the order of the request; JSON data is flat.

    `class_names` are those of the network's own output; an end point's values have none.

    Numbers that are not finite are the tokens NaN and Infinity, as clients write them.
    """
    head: _ResponseHead = {"model_name": name, "model_version": version}
    if request.id is not None:
        head["id"] = request.id
    if warnings:
        head["parameters"] = {"warnings": " ".join(warnings)}
    tail: list[Buffer] = []
    outputs = ",".join(
        _output(each, arrays[each.name], class_names if each.name in _OF_CLASSES else (), tail)
        for each in request.outputs
    )
    text = _with(head, "outputs", f"[{outputs}]").encode()
    if not any(each.is_binary for each in request.outputs):
        return Encoded(text, None)
    return Encoded(b"".join([text, *tail]), len(text))


def _output(output: RequestedOutput, array: Array, names: Sequence[str], tail: list[Buffer]) -> str:
    """Return an output in JSON; binary data is appended to the tail."""
    datatype, shape, texts = "FP32", list(array.shape), list[str]()
    if output.classes:
        datatype = "BYTES"
        shape, texts = best_classes(array, output.classes, names)
    document: _OutputHead = {"name": output.name, "datatype": datatype, "shape": shape}
    if output.is_binary:
        data = bytes_tensor(texts) if output.classes else float32_tensor(array)
        tail.append(data)
        return _dumped({**document, "parameters": {"binary_data_size": len(data)}})
    values = _dumped(texts) if output.classes else f"[{float32_json(array)}]"
    return _with(document, "data", values)


def _with(document: Mapping[str, object], key: str, value: str) -> str:
    """Return an object in JSON with one more member, whose value is in JSON already."""
    return f'{_dumped(document)[:-1]},"{key}":{value}}}'


def _dumped(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
