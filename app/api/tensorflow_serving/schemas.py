"""What OpenAPI says about TensorFlow Serving's routes, whose paths and bodies are read raw."""

from typing import Any

Schema = dict[str, Any]

_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_SIGNATURE: Schema = {"type": "string", "enum": ["serving_default", "serving_images"]}
_TENSOR: Schema = {
    "type": "array",
    "items": {},
    "description": 'Rows: nested arrays of the input\'s shape, or {"b64": image}.',
}

NAME: Schema = {
    "parameters": [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "A model's name or a build's id; /versions/N or /labels/L may follow.",
            "schema": {"type": "string"},
        }
    ]
}


def _body(**properties: Schema) -> Schema:
    schema = {"type": "object", "properties": {"signature_name": _SIGNATURE, **properties}}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


PREDICT: Schema = {
    **NAME,
    "requestBody": _body(instances=_TENSOR, inputs={"oneOf": [_TENSOR, _OBJECT]}),
}
CLASSIFY: Schema = {
    **NAME,
    "requestBody": _body(context=_OBJECT, examples={"type": "array", "items": _OBJECT}),
}
