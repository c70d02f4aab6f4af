"""The bodies of requests as OpenAPI shows them: they are read raw, within limits."""

import json
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http import openapi_examples as examples
from app.http.openapi import Schema, json_body, reference

_BINARY: Schema = {"type": "string", "format": "binary"}
_FILES: Schema = {"type": "array", "items": _BINARY}


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
    schema: Schema = {"type": "object", "required": required, "properties": properties}
    return {"schema": {**schema, "additionalProperties": False}}


def _body(content: Schema) -> Schema:
    return {"requestBody": {"required": True, "content": content}}


_INPUT_FIELDS = {
    "image": {**_FILES, "description": "JPEG, PNG or WebP; each is a row."},
    "array": {**_FILES, "description": ".npy; each is a row or a batch."},
}
_SPEC_FIELD = {
    "type": "string",
    "description": "The build spec, as JSON.",
    "example": json.dumps(examples.SMALLEST),
}
SPEC = json_body("BuildSpec", examples=examples.SPECS)
TWO_SPECS = _body(
    {
        "application/json": {
            **_object(["a", "b"], a=reference("BuildSpec"), b=reference("BuildSpec")),
            "examples": examples.TWO_SPECS,
        }
    }
)
SOURCES = json_body("Sources", examples=examples.SOURCES)
SWEEP = json_body("SweepRequest", examples=examples.SWEEPS)
SWEEP_ROWS = json_body("SweepRowNumbers", examples=examples.SWEEP_ROWS)
LEVELS = json_body("ScopeLevels", examples=examples.LEVELS)
INPUTS = _body(
    {
        **{f"image/{kind}": {"schema": _BINARY} for kind in ("jpeg", "png", "webp")},
        "application/x-npy": {"schema": _BINARY},
        "application/json": {"schema": reference("Instances"), "examples": examples.ROWS},
        "multipart/form-data": _object([], **_INPUT_FIELDS),
    }
)
OPTIONAL_INPUTS = {"requestBody": {**INPUTS["requestBody"], "required": False}}
SPEC_AND_INPUTS = _body(
    {"multipart/form-data": _object(["spec"], spec=_SPEC_FIELD, **_INPUT_FIELDS)}
)
_NAMING = json.dumps(examples.NAMINGS["a label"]["value"])
NAMING = _body(
    {
        "application/json": {"schema": reference("Naming"), "examples": examples.NAMINGS},
        "multipart/form-data": _object(
            ["model"],
            model={
                "type": "string",
                "description": "The JSON.",
                "example": json.dumps(examples.NAMINGS["a label"]["value"]),
            },
            class_names={**_BINARY, "description": "A name a line, or lines `class:name`."},
            calibration={
                **_FILES,
                "description": "JPEG, PNG, WebP or .npy, for precision int8: 16 rows or more.",
            },
        ),
    }
)
FILES = _body(
    {
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": _object(["file"], file=_FILES),
    }
)
