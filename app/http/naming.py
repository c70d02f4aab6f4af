"""Reads the body that names a build: JSON, or a form with the JSON and a labels file."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from app.documents import parse_document
from app.errors import ServiceError
from app.http.bodies import read_document
from app.http.forms import Part, read_parts
from app.serving.model_registry import ModelRequest, read_model_request
from app.settings import Settings
from app.trace_threads import TraceThreads
from model_zoo import Problem, ZooError, unknown_name

_FIELDS = ("model", "class_names")


async def read_naming(request: Request, settings: Settings, threads: TraceThreads) -> ModelRequest:
    """Return the request of a body; the file of a form is its member `class_names`.

    Raises: ServiceError if the body is too large, or the form is not one of these; ZooError for
    each mistake in the document.
    """
    body = await read_document(request, settings)
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return await threads.run(_read, body, settings)
    parts = await read_parts(
        request,
        body,
        max_parts=len(_FIELDS),
        limit_words="it may have the fields model and class_names",
    )
    fields = _fields_of(parts)
    if "model" not in fields:
        detail = "The form has no field called model; it must have one."
        raise ServiceError("malformed-body", detail)
    return await threads.run(_read, fields["model"], settings, fields.get("class_names"))


# In one call: documents that were read and wait would be many times as large as their bodies.
def _read(data: bytes, settings: Settings, class_names: bytes | None = None) -> ModelRequest:
    document: Any = parse_document(data, settings)
    if class_names is not None and isinstance(document, dict):
        if "class_names" in document:
            rule = "class_names is in the field model too; it must be in one of them."
            raise ZooError(Problem(rule, "/class_names", document["class_names"]))
        document = {**document, "class_names": _text(class_names)}
    return read_model_request(document)


def _fields_of(parts: Sequence[Part]) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    for part in parts:
        if part.name not in _FIELDS:
            rule = f"The form does not accept a field {part.name!r}."
            message = unknown_name("", rule, part.name, _FIELDS).message
            raise ServiceError("malformed-body", message)
        if part.name in fields:
            raise ServiceError("malformed-body", f"The form has two fields called {part.name}.")
        fields[part.name] = part.data
    return fields


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        detail = f"The file class_names is not valid UTF-8 at byte {error.start}."
        raise ServiceError("malformed-body", detail) from None
