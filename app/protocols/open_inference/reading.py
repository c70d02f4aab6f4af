"""What a reader process does with a request whose JSON is large."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.arrays import Buffer
from app.protocols.open_inference.request import InferRequest, read_request
from app.protocols.open_inference.target import Target


def arguments_of(target: Target, tail_bytes: int) -> dict[str, Any]:
    """Return the arguments of `read`, whose buffer is the JSON."""
    return {"target": target.document(), "tail_bytes": tail_bytes}


def read(
    arguments: Mapping[str, Any], buffers: Sequence[Buffer]
) -> tuple[dict[str, Any], Sequence[Buffer]]:
    """Return what `read_request` does.

    Raises: MalformedJsonError, InputError.
    """
    (text,) = buffers
    target = Target.of_document(arguments["target"])
    request, found = read_request(text, arguments["tail_bytes"], target)
    return request.document(), found


def request_of(result: Mapping[str, Any]) -> InferRequest:
    """Return the request that `read` told of."""
    return InferRequest.of_document(result)
