"""What OpenAPI says about the Open Inference Protocol's routes, whose bodies are read raw."""

from typing import Any

from app.errors import ProblemKind
from app.http.problems import STATUSES

Schema = dict[str, Any]

_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_SHAPE: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
_TENSOR: Schema = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "enum": ["input", "image_bytes"]},
        "shape": _SHAPE,
        "datatype": {"type": "string", "enum": ["FP32", "BYTES"]},
        "parameters": _PARAMETERS,
        "data": {"type": "array", "items": {}},
    },
}
_ASKED: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
}
_BINARY: Schema = {"type": "string", "format": "binary"}

# A route's version is found by a dependency of its own, which the framework does not see through.
VERSION: Schema = {
    "parameters": [
        {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
}
INFER_BODY: Schema = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "parameters": _PARAMETERS,
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1,
                            "items": _TENSOR,
                        },
                        "outputs": {"type": "array", "items": _ASKED},
                    },
                }
            },
            # JSON and then tensors, or a tensor or an image file alone: the header tells.
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}
OPTIONAL_BODY: Schema = {
    "requestBody": {"required": False, "content": {"application/json": {"schema": _OBJECT}}}
}


def answers(
    description: str, *kinds: ProblemKind, has_body: bool = True
) -> dict[int | str, Schema]:
    """Return the descriptions of a route's answer, and of the kinds of its errors."""
    content = {"content": {"application/json": {"schema": _OBJECT}}} if has_body else {}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int, list[str]] = {}
    for name in kinds:
        # What is 422 on our own routes is 400 here.
        status = 400 if STATUSES[name].status == 422 else STATUSES[name].status
        titles.setdefault(status, []).append(STATUSES[name].title)
    return {
        200: {"description": description, **content},
        **{
            status: {"description": "; ".join(found), "content": error}
            for status, found in sorted(titles.items())
        },
    }
