"""The names of a source: renamed as a spec says, and spelt as other programs spell them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from model_zoo.patterns import Names, captures, fits_any
from model_zoo.weight_sources import MOVING_AVERAGE

# TensorFlow names the value of the variable `a` so: output 0 of the operation `a`.
OUTPUT = ":0"
# What Keras (`kernel`) and PyTorch (`weight`) call a variable that TF-Slim calls otherwise, by the
# last part of their names.
OTHER_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "weights": ("kernel", "weight"),
    "biases": ("bias",),
    "depthwise_weights": ("depthwise_kernel", "kernel", "weight"),
    "pointwise_weights": ("pointwise_kernel",),
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """Another name for a variable: what its last part is there, and whether `:0` follows."""

    name: str
    ending: tuple[str, str] | None = None
    output: bool = False


def spellings(variable: str) -> Iterator[Spelling]:
    """Yield the names that a variable may have in a source, its own name first.

    >>> [spelling.name for spelling in spellings("a/biases")]
    ['a/biases', 'a/biases:0', 'a/bias', 'a/bias:0']
    """
    scope, slash, last = variable.rpartition("/")
    for ending in (last, *OTHER_ENDINGS.get(last, ())):
        name = scope + slash + ending
        pair = None if ending == last else (ending, last)
        yield Spelling(name, pair)
        yield Spelling(name + OUTPUT, pair, output=True)


def averaged(name: str) -> str | None:
    """Return the variable whose moving average a name is; None if it is not one's.

    >>> averaged("a/ExponentialMovingAverage:0"), averaged("a")
    ('a', None)
    """
    plain = name.removesuffix(OUTPUT)
    return plain.removesuffix(MOVING_AVERAGE) if plain.endswith(MOVING_AVERAGE) else None


class Renames:
    """A source's `rename`: exact names first, then the pattern with the most literal text.

    A scope, `a/`, is the pattern `a/*`. Of equal patterns that with fewer stars counts, then the
    first in the alphabet, so that the order in which a spec was written means nothing.

    >>> renames = Renames({"a/": "b/", "a/w": "c", "*/kernel": "*/weights"})
    >>> [renames.target(name) for name in ("a/x", "a/w", "a/y/kernel", "d")]
    ['b/x', 'c', 'a/y/weights', 'd']
    """

    def __init__(self, rename: Mapping[str, str]) -> None:
        self._rename = rename
        self._patterns = sorted(
            (key for key in rename if "*" in key or key.endswith("/")),
            key=lambda key: (key.count("*") - len(key), key.count("*"), key),
        )
        self._fitted = Names([_pattern(key) for key in self._patterns])
        self._renamed: dict[str, tuple[str | None, str]] = {}

    def target(self, name: str) -> str:
        """Return the build's name for one of the source's. An average goes with its variable."""
        return self.find(name)[1]

    def find(self, name: str) -> tuple[str | None, str]:
        """Return the key that renames a name, if any does, and what it becomes."""
        if name not in self._renamed:
            self._renamed[name] = self._find(name)
        return self._renamed[name]

    def _find(self, name: str) -> tuple[str | None, str]:
        variable = averaged(name)
        forms = [(name, "")] + ([] if variable is None else [(variable, name[len(variable) :])])
        for form, suffix in forms:
            if form in self._rename:
                return form, self._rename[form] + suffix
        if not self._patterns or not any(form in self._fitted for form, _ in forms):
            return None, name
        for key in self._patterns:
            scope = "*" if key.endswith("/") else ""
            for form, suffix in forms:
                texts = captures(form, _pattern(key))
                if texts is not None:
                    value = (self._rename[key] + scope).split("*")
                    filled = zip(texts, value[1:], strict=False)
                    return key, value[0] + "".join(a + b for a, b in filled) + suffix
        return None, name


def _pattern(key: str) -> str:
    return key + "*" if key.endswith("/") else key


def fits_none(key: str, names: Mapping[str, object]) -> bool:
    """Return whether a key of `rename` fits none of a source's names."""
    if key.endswith("/") or "*" in key:
        averages = (variable for name in names if (variable := averaged(name)) is not None)
        return not fits_any(chain(names, averages), _pattern(key))
    return not any(
        key + suffix in names for suffix in ("", MOVING_AVERAGE, MOVING_AVERAGE + OUTPUT)
    )
