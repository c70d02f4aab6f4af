"""The rows of `:classify`: examples, which are features by name, and their common context."""

from typing import Any

from app.arrays import IMAGES
from app.protocols.images import is_base64
from app.protocols.tensorflow_serving.refusals import refused
from app.protocols.tensorflow_serving.signatures import Inputs, Values


def read_examples(document: dict[str, Any], inputs: Inputs) -> Values:
    """Return the examples of a request.

    A feature is a flat list, as TensorFlow's are; one nested as the input's shape is taken too.
    Raises: InputError
    """
    examples, context = document.get("examples"), document.get("context", {})
    if not isinstance(examples, list) or not examples:
        rule = "examples must be a list of at least one example."
        raise refused("/examples", rule, examples)
    if not isinstance(context, dict):
        raise refused("/context", "context must be an object of features by name.", context)
    first = examples[0] if isinstance(examples[0], dict) else {}
    name = inputs.input_of(document, names_images=IMAGES in first or IMAGES in context)
    rows = [_value(example, context, name, index) for index, example in enumerate(examples)]
    is_flat = isinstance(rows[0], list) and not any(isinstance(each, list) for each in rows[0][:1])
    return Values(rows, name, lambda index: f"/examples/{index}/{name}", is_flat=is_flat)


def _value(example: Any, context: dict[str, Any], name: str, index: int) -> Any:
    """Return the one feature of an example."""
    place = f"/examples/{index}"
    if not isinstance(example, dict):
        raise refused(place, "An example must be an object of features by name.", example)
    for feature in example:
        if feature in context:
            rule = f"Feature {feature[:100]!r} is in the context too; it must be in one of them."
            raise refused(place, rule, feature)
    features = {**context, **example}
    for feature in features:
        if feature != name:
            rule = f"There is no feature {feature[:100]!r}; the signature's is {name}."
            raise refused(place, rule, feature, [name])
    if name not in features:
        raise refused(place, f"The example has no feature {name}.", sorted(example))
    value = features[name]
    if isinstance(value, list) and len(value) == 1 and is_base64(value[0]):
        return value[0]
    return value if isinstance(value, list) or is_base64(value) else [value]
