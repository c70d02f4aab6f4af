"""The signatures of a model, which are those of our SavedModels: one for each input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.arrays import IMAGES, INPUT
from app.protocols.tensorflow_serving.refusals import refused

DEFAULT = "serving_default"
BY_IMAGE = "serving_images"

# The pointer of a row, by its index.
Place = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model takes: rows of numbers of a shape, and maybe image files instead."""

    shape: tuple[int, ...]
    takes_images: bool

    @property
    def signatures(self) -> dict[str, str]:
        """The input of each signature."""
        return {DEFAULT: INPUT, **({BY_IMAGE: IMAGES} if self.takes_images else {})}

    def input_of(self, document: dict[str, Any], *, names_images: bool) -> str:
        """Return the input that a request feeds: that of its signature.

        A request without a signature may name the images' input by itself.
        Raises: InputError
        """
        name = document.get("signature_name", "")
        if not isinstance(name, str):
            raise refused("/signature_name", "signature_name must be a string.", name)
        if name == "" and names_images and self.takes_images:
            return IMAGES
        feed = self.signatures.get(name or DEFAULT)
        if feed is None:
            rule = f'Serving signature name: "{name[:200]}" not found in signature def'
            raise refused("", rule, name, self.signatures)
        return feed


class Values(NamedTuple):
    """The values of a request's rows, and the pointer of each."""

    rows: Sequence[Any]
    input: str
    place: Place
    level: int = 0  # of the lists of a row, as errors count it
    is_column: bool = False
    is_flat: bool = False  # each row is one list, whatever the input's shape
