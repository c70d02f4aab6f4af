"""Reads the body that names a build: JSON, or a form with the JSON, and files that belong to it.

A form may have a labels file, and pictures or arrays that calibrate the version in int8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from app.documents import parse_document
from app.errors import ServiceError
from app.http.bodies import check_size, read_body, read_document
from app.http.body_budget import HeldBody
from app.http.exchange import held_body
from app.http.forms import Part, read_parts
from app.http.inputs import sniffed
from app.serving.inference import Input
from app.serving.model_registry import ModelRequest, read_model_request
from app.settings import Settings, variable
from app.tasks import InputKind
from app.trace_threads import TraceThreads
from model_zoo import InputError, Problem, ZooError, unknown_name

_CALIBRATION = "calibration"
_SINGLE = ("model", "class_names")
_FIELDS = (*_SINGLE, _CALIBRATION)


@dataclass(frozen=True, slots=True)
class Naming:
    """The request of a body, and the files that calibrate the version."""

    request: ModelRequest
    body: HeldBody
    calibration: list[Input] = field(default_factory=list)

    def drop(self) -> None:
        """Free the files, and their room among the bodies in memory."""
        self.calibration.clear()
        self.body.close()


async def read_naming(request: Request, settings: Settings, threads: TraceThreads) -> Naming:
    """Return what a body has; the labels file of a form is the document's member `class_names`.

    Raises: ServiceError if the body is too large, or the form is not one of these; ZooError for
    each mistake in the document.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        body = await read_document(request, settings)
        return Naming(await threads.run(_read, body, settings), held_body(request))
    body = await read_body(request, settings)
    parts = await read_parts(
        request,
        body,
        max_parts=len(_SINGLE) + settings.max_calibration_rows,
        limit_words="it may have the fields model and class_names, and "
        f"{settings.max_calibration_rows} called {_CALIBRATION} "
        f"({variable('max_calibration_rows')})",
    )
    fields = _fields_of(parts)
    size = sum(map(len, fields.values()))
    check_size(size, settings.document_limit, "bytes in its fields model and class_names")
    if "model" not in fields:
        detail = "The form has no field called model; it must have one."
        raise ServiceError("malformed-body", detail)
    return Naming(
        await threads.run(_read, fields["model"], settings, fields.get("class_names")),
        held_body(request),
        [
            Input(_kind(data, place), f"/{_CALIBRATION}/{place}", data)
            for place, data in enumerate(part.data for part in parts if part.name == _CALIBRATION)
        ],
    )


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
        if part.name == _CALIBRATION:
            continue
        if part.name in fields:
            raise ServiceError("malformed-body", f"The form has two fields called {part.name}.")
        fields[part.name] = part.data
    return fields


def _kind(data: bytes, place: int) -> InputKind:
    kind = sniffed(data)
    if kind in ("image", "npy"):
        return kind
    rule = "Calibration rows are pictures (JPEG, PNG, WebP) or .npy arrays; this file is neither."
    raise InputError(Problem(rule, f"/{_CALIBRATION}/{place}"))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        detail = f"The file class_names is not valid UTF-8 at byte {error.start}."
        raise ServiceError("malformed-body", detail) from None
