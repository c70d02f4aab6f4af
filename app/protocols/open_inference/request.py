"""Reads an inference request: which input, how many rows, and what is asked for.

Everything is checked against the model before a value is read; binary data stays where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from app.arrays import Buffer
from app.documents import parse_tensors
from app.protocols.open_inference.classification import check_classification
from app.protocols.open_inference.fields import checked, optional, refused, required, unknown
from app.protocols.open_inference.inputs import InputTensor, raw_input, read_input
from app.protocols.open_inference.parameters import parameters
from app.protocols.open_inference.target import Target

# Eleven days; what is longer would not fit the clock.
_LONGEST_TIMEOUT_US = 10**12


class Asked(NamedTuple):
    """An output as it is asked for; `classes` is how many of the best ones, or 0 for the values."""

    name: str
    is_binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a request says, but for the values of its input."""

    id: str | None
    timeout_s: float | None
    tensor: InputTensor
    outputs: tuple[Asked, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "InferRequest":
        """Return what `document` told."""
        return cls(
            document["id"],
            document["timeout_s"],
            InputTensor(**document["tensor"]),
            tuple(Asked(*each) for each in document["outputs"]),
        )


# A request, and its data where that is not left in the binary tail.
Read = tuple[InferRequest, Sequence[Buffer]]


def json_size(header: str | None, body_bytes: int) -> int:
    """Return how much of a body is its JSON; `header` is Inference-Header-Content-Length.

    Raises: InputError if it is no number of bytes that the body has.
    """
    if header is None:
        return body_bytes
    # Compared by length first: Python refuses to convert very long integers.
    if not header.isascii() or not header.isdecimal() or len(header) > 18:
        message = "Inference-Header-Content-Length must be the JSON's length in bytes."
        raise refused("", message, header)
    if int(header) > body_bytes:
        message = (
            f"Inference-Header-Content-Length says that the JSON has {header} bytes, and the body "
            f"has {body_bytes}."
        )
        raise refused("", message, header)
    return int(header)


def read_request(text: Buffer, tail_bytes: int, target: Target) -> Read:
    """Return a request, and its data where that is in the JSON: the rows, or a file for each.

    `tail_bytes` is how much binary data follows the JSON.
    Raises: MalformedJsonError, or InputError for what does not fit the model.
    """
    document = checked(parse_tensors(bytes(text), max_nodes=target.max_values), dict, "")
    request_id = optional(document, "id", str, "")
    if request_id is not None and not _is_text(request_id):
        raise refused("/id", "id holds a lone surrogate, which is not Unicode text.", request_id)
    general = parameters(document, "")
    timeout_us = min(general.get("timeout", 0), _LONGEST_TIMEOUT_US)
    asked = _asked(document, target, is_binary=general.get("binary_data_output", False))
    tensor, buffers = read_input(required(document, "inputs", list, ""), tail_bytes, target)
    for output in asked:
        if output.classes:
            check_classification(output.name, tensor.rows * target.outputs[output.name])
    return InferRequest(request_id, timeout_us / 1e6 or None, tensor, asked), buffers


def raw_request(body: Buffer, target: Target) -> Read:
    """Return what a body without JSON asks for: the output, as binary data.

    Raises: InputError if it is neither one row nor one image file.
    """
    tensor, buffers = raw_input(body, target)
    return InferRequest(None, None, tensor, (Asked(target.default_output, True),)), buffers


def _asked(document: Mapping[str, Any], target: Target, *, is_binary: bool) -> tuple[Asked, ...]:
    outputs = optional(document, "outputs", list, "")
    if not outputs:
        return (Asked(target.default_output, is_binary),)
    found: dict[str, Asked] = {}
    for index, output in enumerate(outputs):
        pointer = f"/outputs/{index}"
        name = required(output, "name", str, pointer)
        if name not in target.outputs:
            raise unknown(f"{pointer}/name", target.name, "output", name, target.outputs)
        if name in found:
            raise refused(f"{pointer}/name", f"Output {name!r} is asked for twice.", name)
        own = parameters(output, pointer)
        found[name] = Asked(name, own.get("binary_data", is_binary), own.get("classification", 0))
    return tuple(found.values())


def _is_text(string: str) -> bool:
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
