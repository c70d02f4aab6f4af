"""Writes answers: numbers as TensorFlow Serving does, and NaN and Infinity bare."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import Array


class TfsPredictionsBody(TypedDict):
    """The output: row by row, or as one tensor if the request was one."""

    predictions: NotRequired[list[Any]]
    outputs: NotRequired[list[Any]]


class TfsScoresBody(TypedDict):
    """The scores of each row."""

    results: Annotated[
        list[list[tuple[str, float]]], Field(description="A label and a score for each class.")
    ]


# NumPy's words for numbers that JSON has none for, and JavaScript's.
_WORDS = {b"nan": b"NaN", b"inf": b"Infinity", b"-inf": b"-Infinity"}
# The longest shortest text of a float32 has 15: -1.17549435e-38.
_TEXT = "S16"


def predictions(array: Array, *, is_column: bool) -> bytes:
    """Return the answer to `:predict`: the one output, row by row or as one tensor.

    >>> predictions(np.array([[0.1, 3], [np.nan, 1e-7]], np.float32), is_column=False)
    b'{"predictions": [[0.1, 3.0], [NaN, 1e-07]]}'
    """
    texts = _texts(array)
    for size in reversed(array.shape):
        texts = [
            b"[" + b", ".join(texts[start : start + size]) + b"]"
            for start in range(0, len(texts), size)
        ]
    return b'{"%s": %s}' % (b"outputs" if is_column else b"predictions", texts[0])


def results(probabilities: Array, names: Sequence[str] = ()) -> bytes:
    """Return the answer to `:classify`: every class of each row, in their order, with its score.

    A class's label is its name, or else its index.
    Shape: (rows, classes)

    >>> results(np.array([[0.25, 0.75]], np.float32))
    b'{"results": [[["0", 0.25], ["1", 0.75]]]}'
    """
    rows, classes = probabilities.shape
    scores = _texts(probabilities)
    labels = [json.dumps(name).encode() for name in names or map(str, range(classes))]
    pairs = [b"[%s, %s]" % (labels[index % classes], each) for index, each in enumerate(scores)]
    lists = [
        b"[%s]" % b", ".join(pairs[start : start + classes])
        for start in range(0, rows * classes, classes)
    ]
    return b'{"results": [%s]}' % b", ".join(lists)


def _texts(array: Array) -> Sequence[bytes]:
    """Return each number in the fewest digits that read back as the same float32."""
    texts: list[bytes] = array.astype(_TEXT).ravel().tolist()
    if not np.isfinite(array).all():
        return [_WORDS.get(text, text) for text in texts]
    return texts
