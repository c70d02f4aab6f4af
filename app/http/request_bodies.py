"""The bodies of requests as OpenAPI shows them: they are read raw, within limits."""

import json
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http.openapi import Schema, json_body, reference

_BINARY: Schema = {"type": "string", "format": "binary"}
_FILES: Schema = {"type": "array", "items": _BINARY}

_SMALLEST = {"architecture": "mobilenet_v1_025"}
_INITIALIZER = {"name": "truncated_normal_initializer", "stddev": 0.09}
_CONV_ARGS = {
    "activation_fn": "relu6",
    "weights_initializer": _INITIALIZER,
    "normalizer_fn": "batch_norm",
}
_SCOPES = [
    {"ops": ["conv2d", "separable_conv2d"], "args": _CONV_ARGS},
    {"ops": ["batch_norm"], "args": {"decay": 0.997, "epsilon": 0.001, "scale": True}},
    {
        "ops": ["conv2d"],
        "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001}},
    },
    {"ops": ["separable_conv2d"], "args": {"weights_regularizer": None}},
]
SPEC_EXAMPLES: dict[str, Any] = {
    "smallest": {"summary": "An architecture as published", "value": _SMALLEST},
    "nested scopes": {
        "summary": "Four nested levels",
        "value": {"architecture": "inception_v3", "scopes": _SCOPES},
    },
}
_EXCLUDED = ["InceptionV3/Logits*", "InceptionV3/AuxLogits*"]
_SOURCE_EXAMPLES = {
    "another head": {
        "summary": "All but the last layer",
        "value": {"source": "checkpoint", "id": "0" * 64, "exclude": _EXCLUDED},
    }
}


class RowsDocument(TypedDict):
    """Rows of arrays, or of images."""

    instances: Annotated[
        list[Any],
        Field(description='Each is a nested array of the input\'s shape, or `{"b64": image}`.'),
    ]


class ImageDocument(TypedDict):
    """One image."""

    b64: Annotated[str, Field(description="The file in base64.")]


Instances = RowsDocument | ImageDocument


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"schema": {"type": "object", "required": required, "properties": properties}}


def _body(content: Schema) -> Schema:
    return {"requestBody": {"required": True, "content": content}}


_INPUT_FIELDS = {
    "image": {**_FILES, "description": "JPEG, PNG or WebP; each is a row."},
    "array": {**_FILES, "description": ".npy; each is a row or a batch."},
}
_SPEC_FIELD = {
    "type": "string",
    "description": "The build spec, as JSON.",
    "example": json.dumps(_SMALLEST),
}
SPEC = json_body("BuildSpec", examples=SPEC_EXAMPLES)
_ELU = {**_SMALLEST, "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}
TWO_SPECS = _body(
    {
        "application/json": {
            **_object(["a", "b"], a=reference("BuildSpec"), b=reference("BuildSpec")),
            "example": {"a": _SMALLEST, "b": _ELU},
        }
    }
)
SOURCES = json_body("Sources", examples=_SOURCE_EXAMPLES)
INPUTS = _body(
    {
        **{f"image/{kind}": {"schema": _BINARY} for kind in ("jpeg", "png", "webp")},
        "application/x-npy": {"schema": _BINARY},
        "application/json": {"schema": reference("Instances")},
        "multipart/form-data": _object([], **_INPUT_FIELDS),
    }
)
OPTIONAL_INPUTS = {"requestBody": {**INPUTS["requestBody"], "required": False}}
SPEC_AND_INPUTS = _body(
    {"multipart/form-data": _object(["spec"], spec=_SPEC_FIELD, **_INPUT_FIELDS)}
)
NAMING = _body(
    {
        "application/json": {"schema": reference("Naming")},
        "multipart/form-data": _object(
            ["model"],
            model={"type": "string", "description": "The JSON.", "example": '{"build": "..."}'},
            class_names={**_BINARY, "description": "A name a line, or lines `class:name`."},
        ),
    }
)
FILES = _body(
    {
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": _object(["file"], file=_FILES),
    }
)
