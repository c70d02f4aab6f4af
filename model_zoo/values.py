"""What an argument may hold by name; here initializers and regularizers, activations beside them.

Each value is a name and its arguments, nothing that computes: the lowering gives it numbers. The
functions here spell TF-Slim's names, so a network reads `l2_regularizer(0.0001)`, and a request
writes `{"name": "l2_regularizer", "scale": 0.0001}`. A normalizer is a scoped op, not a value.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

from annotated_types import Ge, Gt

from model_zoo.registries import Registry

NonNegative = Annotated[float, Ge(0)]
ValueKind = Literal["activation", "initializer", "regularizer"]


@dataclass(frozen=True, slots=True)
class Named:
    """A function by name, with its arguments in the order of its signature."""

    name: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, argument: str) -> Any:
        return dict(self.arguments)[argument]

    def __repr__(self) -> str:
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.arguments)})"

    def to_wire(self) -> str | dict[str, Any]:
        """Return the value as a request writes it."""
        return {"name": self.name, **dict(self.arguments)} if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class ByName:
    """Marks an argument's type: a request gives a value of a kind by its name."""

    kind: ValueKind


@dataclass(frozen=True, slots=True)
class EachByName:
    """Marks an argument's type: a request gives an object whose values are given by name."""

    kind: ValueKind


@dataclass(frozen=True, slots=True)
class Matching:
    """Marks an argument's type: a string that a pattern fits as a whole; `expected` says which."""

    pattern: str
    expected: str


@dataclass(frozen=True, slots=True)
class NumbersOnly:
    """Marks an argument's type: it changes numbers, and neither a network's layers nor shapes."""


@dataclass(frozen=True, slots=True)
class OfOneCall:
    """Marks an argument's type: it feeds one call, as a tensor does, so no scope can set it."""


@dataclass(frozen=True, slots=True)
class AddedLater:
    """Marks an argument's type: specs were stored before there was such an argument.

    A normalized spec leaves it out at its default, so that ids stay as they are.
    """


@dataclass(frozen=True, slots=True)
class NormalizerByName:
    """Marks an argument's type: a request names a normalizer, which is a scoped op."""


@dataclass(frozen=True, slots=True)
class NormalizerArguments:
    """Marks an argument's type: a request gives an object of a normalizer's arguments."""


class Initializer(Named):
    """How a variable's random values are drawn (`model_zoo.weights.random` draws them)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, repr=False)
class Regularizer(Named):
    """A loss on a variable: `l1 * sum(|w|) + l2 * sum(w^2) / 2`, TF-Slim's convention."""

    l1: float = 0.0
    l2: float = 0.0

    @property
    def active(self) -> bool:
        """Whether there is a loss at all; a scale of 0 gives none, not a loss of 0."""
        return self.l1 > 0 or self.l2 > 0


T = TypeVar("T")
Later = Annotated[T, AddedLater()]
Maker = Callable[..., Named]
M = TypeVar("M", bound=Maker)
_makers: dict[ValueKind, Registry[Maker]] = {
    kind: Registry(f"an {kind}" if kind[0] in "ai" else f"a {kind}") for kind in get_args(ValueKind)
}


def makers(kind: ValueKind) -> Mapping[str, Maker]:
    """Return the functions that make the values of a kind, by the name a request uses."""
    return _makers[kind]


def register(kind: ValueKind, name: str, maker: M) -> M:
    """Offer a function that makes values of a kind under a name.

    Raises: ValueError if the kind has the name already.
    """
    _makers[kind].add(name, maker, maker)
    return maker


def _initializer(maker: M) -> M:
    return register("initializer", maker.__name__, maker)


def _regularizer(maker: M) -> M:
    return register("regularizer", maker.__name__, maker)


@_initializer
def zeros_initializer() -> Initializer:
    """All zeros."""
    return Initializer("zeros_initializer")


@_initializer
def ones_initializer() -> Initializer:
    """All ones."""
    return Initializer("ones_initializer")


@_initializer
def constant_initializer(value: float = 0.0) -> Initializer:
    """One value everywhere."""
    return Initializer("constant_initializer", (("value", float(value)),))


@_initializer
def truncated_normal_initializer(mean: float = 0.0, stddev: NonNegative = 1.0) -> Initializer:
    """Normal, drawn again beyond two standard deviations."""
    return Initializer(
        "truncated_normal_initializer", (("mean", float(mean)), ("stddev", float(stddev)))
    )


@_initializer
def random_normal_initializer(mean: float = 0.0, stddev: NonNegative = 1.0) -> Initializer:
    """Normal."""
    return Initializer(
        "random_normal_initializer", (("mean", float(mean)), ("stddev", float(stddev)))
    )


@_initializer
def random_uniform_initializer(minval: float = 0.0, maxval: float = 1.0) -> Initializer:
    """Uniform on [minval, maxval)."""
    return Initializer(
        "random_uniform_initializer", (("minval", float(minval)), ("maxval", float(maxval)))
    )


@_initializer
def xavier_initializer(uniform: bool = True) -> Initializer:
    """Glorot and Bengio's: variance scaling with factor 1 over the mean of fan-in and fan-out."""
    return Initializer("xavier_initializer", (("uniform", uniform),))


@_initializer
def variance_scaling_initializer(
    factor: Annotated[float, Gt(0)] = 2.0,
    mode: Literal["FAN_IN", "FAN_OUT", "FAN_AVG"] = "FAN_IN",
    uniform: bool = False,
) -> Initializer:
    """Variance `factor / n`, n by `mode`; He's by default (arXiv:1502.01852)."""
    return Initializer(
        "variance_scaling_initializer",
        (("factor", float(factor)), ("mode", mode), ("uniform", uniform)),
    )


@_initializer
def center_initializer() -> Initializer:
    """Ones where the window's centre links a channel to itself, else zeros (arXiv:1712.04851)."""
    return Initializer("center_initializer")


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return TF-Slim's fan-in and fan-out of a variable.

    >>> fans((3, 3, 16, 32)), fans((10,)), fans(())
    ((144, 288), (10, 10), (1, 1))
    """
    if not shape:
        return 1, 1
    window = math.prod(shape[:-2])
    return window * shape[max(-2, -len(shape))], window * shape[-1]


@_regularizer
def l1_regularizer(scale: NonNegative) -> Regularizer:
    """`scale * sum(|w|)`."""
    return Regularizer("l1_regularizer", (("scale", float(scale)),), l1=float(scale))


@_regularizer
def l2_regularizer(scale: NonNegative) -> Regularizer:
    """`scale * sum(w^2) / 2`."""
    return Regularizer("l2_regularizer", (("scale", float(scale)),), l2=float(scale))


@_regularizer
def l1_l2_regularizer(scale_l1: NonNegative = 1.0, scale_l2: NonNegative = 1.0) -> Regularizer:
    """`scale_l1 * sum(|w|) + scale_l2 * sum(w^2) / 2`."""
    l1, l2 = float(scale_l1), float(scale_l2)
    return Regularizer("l1_l2_regularizer", (("scale_l1", l1), ("scale_l2", l2)), l1, l2)
