"""The paths and bodies of the protocol's requests, as OpenAPI shows them: they are read raw."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http import openapi_examples as examples
from app.http.openapi import Schema, json_body

Rows = Annotated[
    list[Any],
    Field(description='Rows: nested arrays of the input\'s shape, or {"b64": image}.'),
]


class _SignedRequest(TypedDict):
    signature_name: NotRequired[Literal["serving_default", "serving_images"]]


class TfsPredictRequest(_SignedRequest):
    """Rows one by one, or as one tensor."""

    instances: NotRequired[Rows]
    inputs: NotRequired[Annotated[Rows | dict[str, Any], Field(description="One tensor.")]]


class TfsClassifyRequest(_SignedRequest):
    """Rows as examples; every example has the features of the context too."""

    context: NotRequired[dict[str, Any]]
    examples: NotRequired[list[dict[str, Any]]]


REQUESTS = {each.__name__: each for each in (TfsPredictRequest, TfsClassifyRequest)}

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
PREDICT = {**NAME, **json_body("TfsPredictRequest", examples=examples.ROWS)}
CLASSIFY = {**NAME, **json_body("TfsClassifyRequest", examples=examples.TFS_EXAMPLES)}
