"""Decodes what a client sent into one batch of float32 rows.

Every size is checked on a header or a count before memory of that size is allocated.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from app.documents import parse_instances
from app.protocols.images import Base64Error, base64_bytes, is_base64
from app.settings import Settings, variable
from app.tasks import InputPart, RowsSetting
from app.wording import clip
from model_zoo import InputError, Problem, decode_image, preprocess, read_npy

Rows = npt.NDArray[np.float32]
Shape = tuple[int, ...]

# Of the inputs that a warning is about.
_SHOWN_POINTERS = 3


class InputReader:
    """Reads the inputs of one prediction for a network's input shape."""

    def __init__(
        self,
        shape: Shape,
        preprocessing: str,
        settings: Settings,
        most_rows: RowsSetting = "max_batch",
    ) -> None:
        self.has_images = False
        self._most_rows: RowsSetting = most_rows
        self._shape = shape
        self._preprocessing = preprocessing
        self._settings = settings
        self._count = 0
        self._warnings: dict[str, list[str]] = {}  # the inputs that each is about

    @property
    def warnings(self) -> tuple[str, ...]:
        """What clients should know about the inputs read so far; each sentence stands once."""
        return tuple(_about(pointers, what) for what, pointers in self._warnings.items())

    def _warn(self, pointer: str, what: str) -> None:
        self._warnings.setdefault(what, []).append(pointer)

    def read(self, parts: Sequence[InputPart], buffers: Sequence[bytes]) -> Rows:
        """Return the rows of all inputs, in order.

        Shape: -> (rows, *shape)
        Raises: InputError, with the pointer of the input that does not fit.
        """
        batches: list[Rows] = []
        for part, data in zip(parts, buffers, strict=True):
            match part.kind:
                case "image":
                    batches.append(self._image(data, part.pointer))
                case "npy":
                    batches.append(self._npy(data, part.pointer))
                case "json":
                    batches.append(self._json(data))
        return np.concatenate(batches)

    def _count_rows(self, rows: int, pointer: str) -> None:
        self._count += rows
        limit = getattr(self._settings, self._most_rows)
        if self._count > limit:
            raise InputError(
                Problem(
                    f"The request has {self._count} rows or more; the limit is {limit} "
                    f"({variable(self._most_rows)}).",
                    pointer,
                    self._count,
                )
            )

    def _image(self, data: bytes, pointer: str) -> Rows:
        self._count_rows(1, pointer)
        self.has_images = True
        try:
            image = decode_image(
                data,
                max_pixels=self._settings.max_image_pixels,
                channels=self._shape[-1],
                warn=partial(self._warn, pointer),
            )
            row: Rows = preprocess(self._preprocessing, image, self._shape)
        except InputError as error:
            problems = [
                Problem(problem.message, pointer, problem.received, problem.suggestion)
                for problem in error.problems
            ]
            raise InputError(*problems) from error
        return row[np.newaxis]

    def _npy(self, data: bytes, pointer: str) -> Rows:
        array = read_npy(data, pointer)
        if array.shape == self._shape:
            array = array[np.newaxis]
        elif array.shape[1:] != self._shape or not array.shape[0]:
            shape = list(self._shape)
            raise InputError(
                Problem(
                    f"The array has shape {list(array.shape)}; the network takes {shape}, or "
                    f"a batch of n of them: {['n', *shape]}.".replace("'n'", "n"),
                    pointer,
                    list(array.shape),
                )
            )
        self._count_rows(array.shape[0], pointer)
        return self._finished(array, pointer)

    def _json(self, data: bytes) -> Rows:
        document = parse_instances(data, max_nodes=self._settings.max_instance_nodes)
        if is_base64(document):
            return self._image(_decoded(document["b64"], "/b64"), "/b64")
        if not isinstance(document, dict) or document.keys() != {"instances"}:
            keys = sorted(document) if isinstance(document, dict) else document
            raise InputError(
                Problem(
                    'The JSON must be {"instances": [...]}, a list of arrays or of '
                    '{"b64": ...} images, or {"b64": ...}, one image.',
                    "",
                    keys,
                )
            )
        instances = document["instances"]
        if not isinstance(instances, list) or not instances:
            message = "instances must be a list of at least one row."
            raise InputError(Problem(message, "/instances", instances))
        rows = []
        for index, row in enumerate(instances):
            pointer = f"/instances/{index}"
            if is_base64(row):
                rows.append(self._image(_decoded(row["b64"], f"{pointer}/b64"), pointer))
            else:
                self._count_rows(1, pointer)
                check_nested(row, self._shape, pointer)
                rows.append(self._finished(np.asarray([row], np.float64), pointer))
        return np.concatenate(rows)

    def _finished(self, array: npt.NDArray[Any], pointer: str) -> Rows:
        """Return the rows of an array as they are; warn if they look like raw pixels."""
        with np.errstate(over="ignore"):
            rows = array.astype(np.float32)
        if not np.isfinite(rows).all():
            message = "The array has values that are not finite float32 numbers."
            raise InputError(Problem(message, pointer))
        low, high = float(rows.min()), float(rows.max())
        expected_low, expected_high = _range_of(self._preprocessing, self._shape)
        if low >= 0 and high <= 255 and high > 1.5 * expected_high > 0:
            self._warn(
                pointer,
                f"Array values run from {low:g} to {high:g}, which looks like raw pixels. Arrays "
                f"are taken as they are; the {self._preprocessing} preprocessing gives "
                f"{expected_low:g} to {expected_high:g}. Send an image to have it applied.",
            )
        return rows


def _about(pointers: Sequence[str], what: str) -> str:
    """Return a sentence about inputs, which its pointers name; a few are enough to find them.

    >>> _about(["/image/0", "/image/2"], "It is gray."), _about([""], "It is gray.")
    ('/image/0, /image/2: It is gray.', 'It is gray.')
    """
    more = len(pointers) - _SHOWN_POINTERS
    shown = ", ".join(pointers[:_SHOWN_POINTERS]) + (f" and {more} more" if more > 0 else "")
    return str(Problem(what, shown))


def check_nested(value: object, shape: Sequence[int], pointer: str) -> None:
    """Check that nested lists have a shape and hold numbers only.

    Raises: InputError with the pointer of the first place that does not fit.
    """
    if not shape:
        if not isinstance(value, float):  # the parser reads every number as one
            raise InputError(Problem("Expected a number.", pointer, value))
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        given = f"a list of {len(value)}" if isinstance(value, list) else repr(clip(value))
        message = f"Expected a list of {shape[0]}, got {given}: rows have shape {list(shape)}."
        raise InputError(
            Problem(message, pointer, len(value) if isinstance(value, list) else value)
        )
    for index, item in enumerate(value):
        check_nested(item, shape[1:], f"{pointer}/{index}")


def _decoded(text: object, pointer: str) -> bytes:
    try:
        return base64_bytes(text)
    except Base64Error as error:
        message = f"b64 must be a string in base64: {error}."
        raise InputError(Problem(message, pointer, text)) from None


def _range_of(preprocessing: str, shape: Shape) -> tuple[float, float]:
    """Return the range that a preprocessing gives to an image of black and white."""
    image = np.zeros(shape[-3:], np.uint8)
    image[: len(image) // 2] = 255
    rows = preprocess(preprocessing, image, image.shape)
    return float(rows.min()), float(rows.max())
