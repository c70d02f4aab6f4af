"""The rows of `:predict`: `instances`, one by one, or `inputs`, all in one tensor."""

from typing import Any

from app.arrays import IMAGES
from app.protocols.images import is_base64
from app.protocols.tensorflow_serving.refusals import refused
from app.protocols.tensorflow_serving.signatures import Inputs, Values


def read_instances(document: dict[str, Any], inputs: Inputs) -> Values:
    """Return the rows of a request, of either format.

    Raises: InputError
    """
    if "instances" in document and "inputs" in document:
        rule = "The body has both 'inputs' and 'instances'; it must have one of them."
        raise refused("", rule, sorted(document))
    if "instances" in document:
        return _rows(document, inputs)
    if "inputs" in document:
        return _column(document, inputs)
    raise refused("", "Missing 'inputs' or 'instances' key", sorted(document))


def _rows(document: dict[str, Any], inputs: Inputs) -> Values:
    rows = document["instances"]
    if not isinstance(rows, list) or not rows:
        raise refused("/instances", "instances must be a list of at least one row.", rows)
    are_named = _is_named(rows[0])
    names_images = are_named and rows[0].keys() == {IMAGES}
    name = inputs.input_of(document, names_images=names_images)
    values = []
    for index, row in enumerate(rows):
        if _is_named(row) is not are_named:
            form = "an object of inputs by name" if are_named else "a value without a name"
            raise refused(f"/instances/{index}", f"Row 0 is {form}, and so must all be.", row)
        if are_named and row.keys() != {name}:
            rule = f"The keys of a row must be equal to: {name}."
            raise refused(f"/instances/{index}", rule, sorted(row))
        values.append(row[name] if are_named else row)
    suffix = f"/{name}" if are_named else ""
    return Values(values, name, lambda index: f"/instances/{index}{suffix}")


def _column(document: dict[str, Any], inputs: Inputs) -> Values:
    value, place = document["inputs"], "/inputs"
    is_named = _is_named(value)
    name = inputs.input_of(document, names_images=is_named and value.keys() == {IMAGES})
    if is_named:
        # Other names are ignored, as in TensorFlow Serving.
        if name not in value:
            raise refused(place, f"Missing named input: {name} in 'inputs' object.", sorted(value))
        value, place = value[name], f"{place}/{name}"
    if not isinstance(value, list) or not value:
        rule = f"The tensor of {name} must be a list of at least one row."
        raise refused(place, rule, value)
    return Values(value, name, lambda index: f"{place}/{index}", level=1, is_column=True)


def _is_named(value: object) -> bool:
    return isinstance(value, dict) and not is_base64(value)
