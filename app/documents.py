"""Reads JSON from clients, within limits; errors of the syntax are of a class of their own."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from app.settings import Settings, variable
from model_zoo import SpecError, ZooError, read_json


class MalformedJsonError(ZooError):
    """A document is no JSON, or over the limits of its kind."""


def parse_document(data: bytes, settings: Settings) -> object:
    """Return a JSON document that is no prediction: a build spec, sources of weights, a name.

    Raises: MalformedJsonError, with what is wrong and where.
    """
    try:
        return read_json(data, max_depth=settings.max_json_depth, max_nodes=settings.max_json_nodes)
    except SpecError as error:
        raise MalformedJsonError(*error.problems) from error


def parse_instances(data: bytes, *, max_nodes: int) -> object:
    """Return the document of a prediction.

    It may hold millions of numbers, and images of megabytes in a string, so that every check is one
    that the C parser makes.

    Raises: MalformedJsonError, with what is wrong.
    """
    # Python reads an int of any length; a row's numbers become floats.
    return _read(data, max_nodes, parse_constant=_refuse_constant, parse_int=float)


# The values of these tokens in `parse_tensors`. They are compared by identity: a literal beyond
# 64-bit floats is read as an infinity too, but as another object.
CONSTANTS: Mapping[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def parse_tensors(data: bytes, *, max_nodes: int) -> object:
    """Return a document of another server's protocol: 1 is not 1.0 there, and NaN is a number.

    Raises: MalformedJsonError, with what is wrong.
    """
    return _read(
        data,
        max_nodes,
        parse_constant=CONSTANTS.__getitem__,
        parse_int=int,
        setting=f" ({variable('max_instance_nodes')})",
    )


def _read(
    data: bytes,
    max_nodes: int,
    parse_constant: Callable[[str], float],
    parse_int: Callable[[str], float],
    setting: str = "",
) -> object:
    # There is a comma between any two values, so this bounds the memory before it is allocated.
    if data.count(b",") >= max_nodes:
        raise MalformedJsonError(f"The JSON has more than {max_nodes} values{setting}.")
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_constant=parse_constant,
            parse_int=parse_int,
        )
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"The JSON is not valid UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise MalformedJsonError(
            f"The JSON is malformed at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except RecursionError:
        raise MalformedJsonError("The JSON is nested too deeply.") from None
    except ValueError:  # Python's own limit, of 4300 digits
        raise MalformedJsonError("The JSON holds an integer of thousands of digits.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedJsonError("The JSON repeats a key in one object.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJsonError(f"The JSON holds {name}, which is not a JSON number.")
