"""Reads an inference request: its input, its number of rows, and the outputs that it requests.

Everything is checked against the model before a value is read; binary data is not copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.arrays import Buffer
from app.documents import parse_tensors
from app.protocols.open_inference.classification import check_classification
from app.protocols.open_inference.fields import checked, optional, refused, required, unknown
from app.protocols.open_inference.inputs import InputTensor, raw_input, read_input
from app.protocols.open_inference.parameters import parameters
from app.protocols.open_inference.signature import ModelSignature

# Eleven days; a longer time would not fit the clock.
_LONGEST_TIMEOUT_US = 10**12


class RequestedOutput(NamedTuple):
    """An output that a request names; `classes` is how many of the best, or 0 for the values."""

    name: str
    is_binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request, without the values of its input."""

    id: str | None
    timeout_s: float | None
    tensor: InputTensor
    outputs: tuple[RequestedOutput, ...]


# A request, and its data unless that is in the binary tail.
ReadRequest = tuple[InferRequest, Sequence[Buffer]]


def json_size(header: str | None, body_bytes: int) -> int:
    """Return how many bytes of a body are JSON; `header` is Inference-Header-Content-Length.

    Raises: InputError if it is not a number, or larger than the body.
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


def read_request(text: Buffer, tail_bytes: int, signature: ModelSignature) -> ReadRequest:
    """Return a request, and its data if that is in the JSON: the rows, or each file.

    `tail_bytes` of binary data follow the JSON.
    Raises: MalformedJsonError, or InputError for what does not fit the model.
    """
    document = checked(parse_tensors(bytes(text), max_nodes=signature.max_values), dict, "")
    request_id = optional(document, "id", str, "")
    if request_id is not None and not _is_text(request_id):
        raise refused("/id", "id holds a lone surrogate, which is not Unicode text.", request_id)
    general = parameters(document, "")
    timeout_us = min(general.get("timeout", 0), _LONGEST_TIMEOUT_US)
    outputs = _outputs(document, signature, is_binary=general.get("binary_data_output", False))
    tensor, buffers = read_input(required(document, "inputs", list, ""), tail_bytes, signature)
    for output in outputs:
        if output.classes:
            check_classification(output.name, tensor.rows * signature.outputs[output.name])
    return InferRequest(request_id, timeout_us / 1e6 or None, tensor, outputs), buffers


def raw_request(body: Buffer, signature: ModelSignature) -> ReadRequest:
    """Return the request that a body without JSON is: for the default output, as binary data.

    Raises: InputError if it is neither one row nor one image file.
    """
    tensor, buffers = raw_input(body, signature)
    outputs = (RequestedOutput(signature.default_output, True),)
    return InferRequest(None, None, tensor, outputs), buffers


def _outputs(
    document: Mapping[str, Any], signature: ModelSignature, *, is_binary: bool
) -> tuple[RequestedOutput, ...]:
    outputs = optional(document, "outputs", list, "")
    if not outputs:
        return (RequestedOutput(signature.default_output, is_binary),)
    requested: dict[str, RequestedOutput] = {}
    for index, output in enumerate(outputs):
        pointer = f"/outputs/{index}"
        name = required(output, "name", str, pointer)
        if name not in signature.outputs:
            raise unknown(f"{pointer}/name", signature.name, "output", name, signature.outputs)
        if name in requested:
            raise refused(f"{pointer}/name", f"Output {name!r} is requested twice.", name)
        own = parameters(output, pointer)
        # There are no more classes than values, however many are requested.
        classes = min(own.get("classification", 0), signature.outputs[name])
        requested[name] = RequestedOutput(name, own.get("binary_data", is_binary), classes)
    return tuple(requested.values())


def _is_text(string: str) -> bool:
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
