"""The `parameters` of a request, an input or an output: single values by name."""

from collections.abc import Mapping
from typing import Any

from app.protocols.open_inference.fields import optional, refused
from app.wording import clip

# Those of the protocol and its extensions; any other is accepted, and has no effect.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "binary_data": (bool,),
    "binary_data_output": (bool,),
    "binary_data_size": (int,),
    "classification": (int,),
    "priority": (int,),
    "sequence_end": (bool,),
    "sequence_id": (int, str),
    "sequence_start": (bool,),
    "timeout": (int,),
    "unload_dependents": (bool,),
}
_NOT_NEGATIVE = ("binary_data_size", "classification", "timeout")
_ANY = (str, int, float, bool)
_WORDS = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


def parameters(owner: Mapping[str, Any], pointer: str) -> Mapping[str, Any]:
    """Return the parameters of an object, without those that are null.

    Raises: InputError for a value of another type than the parameter has.
    """
    values = optional(owner, "parameters", dict, pointer) or {}
    place = f"{pointer}/parameters"
    for name, value in values.items():
        types, shown = _TYPES.get(name, _ANY), clip(name)
        if value is not None and type(value) not in types:
            rule = " or ".join(_WORDS[each] for each in types)
            raise refused(place, f"Parameter {shown!r} must be {rule}.", value)
        if name in _NOT_NEGATIVE and value is not None and value < 0:
            raise refused(place, f"Parameter {name!r} must be 0 or more.", value)
        if name.startswith("shared_memory_"):
            message = (
                f"Parameter {shown!r}: tensors are not exchanged in shared memory here; send and "
                "request them in the body, as binary data."
            )
            raise refused(place, message, value)
    return {name: value for name, value in values.items() if value is not None}
