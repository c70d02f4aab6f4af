"""Reads the inputs of a prediction: images, arrays, JSON, or a form of them.

The Content-Type selects among these kinds. Only the framing of a form is decoded here.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from starlette.requests import Request

from app.errors import ServiceError
from app.http.bodies import check_size, read_body
from app.http.forms import Part, read_parts
from app.protocols.images import starts_as_image
from app.serving.inference import Input
from app.settings import Settings, variable
from app.tasks import InputKind
from model_zoo import unknown_name

_ACCEPTED = (
    "image/jpeg, image/png, image/webp, application/x-npy, application/json and multipart/form-data"
)
# Fields that a form may have besides its inputs, whose number `max_batch` limits.
_OTHER_PARTS = 8
# Sent by clients that do not know the type, such as `curl --data-binary`.
_UNSPECIFIC = (
    "",
    "application/octet-stream",
    "binary/octet-stream",  # the type that object stores give a file
    "application/x-www-form-urlencoded",
)


class Form(NamedTuple):
    """The inputs and the spec of a form."""

    inputs: Sequence[Input]
    spec: bytes


async def read_inputs(request: Request, settings: Settings) -> Sequence[Input]:
    """Return the inputs of a body of any accepted type.

    Raises: ServiceError if the type or the form is not accepted.
    """
    return await _inputs(request, await read_body(request, settings), settings)


async def read_inputs_if_any(request: Request, settings: Settings) -> Sequence[Input]:
    """Return the inputs of a body, as `read_inputs` does; of an empty body, none."""
    body = await read_body(request, settings)
    return await _inputs(request, body, settings) if body else ()


async def _inputs(request: Request, body: bytes, settings: Settings) -> Sequence[Input]:
    content_type = request.headers.get("content-type", "")
    kind = _kind(content_type.partition(";")[0].strip().lower(), body)
    if kind != "form":
        return [Input(kind, "", body)]
    return _inputs_of(await _parts(request, body, settings), ("image", "array"))


async def read_form(request: Request, settings: Settings) -> Form:
    """Return the spec and the inputs of a form.

    Raises: ServiceError if the body is anything else.
    """
    body = await read_body(request, settings)
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise ServiceError(
            "unsupported-type",
            f"Content-Type {content_type!r} is not supported here; send multipart/form-data with "
            "the fields spec, and image or array.",
        )
    parts = await _parts(request, body, settings)
    specs = [part.data for part in parts if part.name == "spec"]
    if len(specs) != 1:
        count = f"{len(specs)} fields" if specs else "no field"
        detail = f"The form has {count} called spec; it must have one."
        raise ServiceError("malformed-body", detail)
    check_size(len(specs[0]), settings.document_limit, "bytes in its field spec")
    others = [part for part in parts if part.name != "spec"]
    return Form(_inputs_of(others, ("image", "array", "spec")), specs[0])


async def _parts(request: Request, body: bytes, settings: Settings) -> Sequence[Part]:
    return await read_parts(
        request,
        body,
        max_parts=settings.max_batch + _OTHER_PARTS,
        limit_words=f"it may have {variable('max_batch')} inputs and {_OTHER_PARTS} other fields",
    )


def _inputs_of(parts: Sequence[Part], fields: Sequence[str]) -> list[Input]:
    kinds: dict[str, InputKind] = {"image": "image", "array": "npy"}
    counts: dict[str, int] = {}
    inputs = []
    for part in parts:
        if part.name not in kinds:
            rule = f"The form does not accept a field {part.name!r}."
            problem = unknown_name("", rule, part.name, fields)
            raise ServiceError("malformed-body", problem.message)
        index = counts[part.name] = counts.get(part.name, -1) + 1
        inputs.append(Input(kinds[part.name], f"/{part.name}/{index}", part.data))
    if not inputs:
        raise ServiceError("malformed-body", "The form has no field called image or array.")
    return inputs


def _kind(media_type: str, body: bytes) -> InputKind | Literal["form"]:
    if media_type.startswith("image/"):
        return "image"
    if media_type == "application/x-npy":
        return "npy"
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    if media_type == "multipart/form-data":
        return "form"
    kind = sniffed(body) if media_type in _UNSPECIFIC else None
    if kind is None:
        given = f"Content-Type {media_type!r}" if media_type else "A body without Content-Type"
        raise ServiceError(
            "unsupported-type",
            f"{given} is not supported for this body. Accepted: {_ACCEPTED}.",
        )
    return kind


def sniffed(body: bytes) -> InputKind | None:
    """Return the kind of an input by its first bytes, or None."""
    # A pickle is read as an array, so that it is refused as what it is.
    if body.startswith((b"\x93NUMPY", *(bytes((0x80, protocol)) for protocol in range(2, 6)))):
        return "npy"
    if starts_as_image(body):
        return "image"
    return "json" if body[:64].lstrip().startswith((b"{", b"[")) else None
