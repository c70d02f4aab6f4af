"""The bodies of the protocol's requests, as OpenAPI shows them: they are read raw."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http import openapi_examples as examples
from app.http.openapi import json_body

# Null is a member that is left out, as some clients write it.
Parameters = dict[str, str | int | float | bool | None] | None


class V2RequestInput(TypedDict):
    """One of the two inputs; its data is here, or binary after the JSON."""

    name: Literal["input", "image_bytes"]
    shape: list[Annotated[int, Field(ge=0)]]
    datatype: Literal["FP32", "BYTES"]
    parameters: NotRequired[Parameters]
    data: NotRequired[list[Any] | None]


class V2RequestOutput(TypedDict):
    """An output to answer with."""

    name: str
    parameters: NotRequired[Parameters]


class V2InferRequest(TypedDict):
    """An inference request; without `outputs`, the answer has the model's output."""

    id: NotRequired[str | None]
    parameters: NotRequired[Parameters]
    inputs: Annotated[list[V2RequestInput], Field(min_length=1, max_length=1)]
    outputs: NotRequired[list[V2RequestOutput] | None]


class V2IndexRequest(TypedDict):
    """Which versions to list."""

    ready: NotRequired[Annotated[bool | None, Field(description="Only those in memory.")]]


class V2LoadRequest(TypedDict):
    """Parameters; they cannot change a model."""

    parameters: NotRequired[Parameters]


REQUESTS = {each.__name__: each for each in (V2InferRequest, V2IndexRequest, V2LoadRequest)}

INFER = json_body("V2InferRequest", examples=examples.V2_INFER)
# JSON with tensors after it, or one tensor or image file: a header says which.
INFER["requestBody"]["content"]["application/octet-stream"] = {
    "schema": {"type": "string", "format": "binary"}
}
INDEX = json_body("V2IndexRequest", required=False, examples=examples.V2_INDEX)
LOAD = json_body("V2LoadRequest", required=False, examples=examples.V2_LOAD)
