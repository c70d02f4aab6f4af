"""Architectures by name: a network function, its default scope, and what its checkpoints expect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from model_zoo.errors import ZooError, unknown_name
from model_zoo.graph import Tensor
from model_zoo.packages import why_missing
from model_zoo.registries import Registry
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Matching

Network = Callable[..., Tensor]
NumClasses = Annotated[int, Ge(0)] | None
# TensorFlow refuses '_' and '-' at the start; HDF5 files have a group for each part, so no part may
# be empty or a dot.
VariableScope = Annotated[
    str,
    Matching(
        r"(?![/_-])(?!.*(\.\.|//|/$))(?!.*(^|/)\.(/|$))[A-Za-z0-9_./-]{1,128}",
        "a variable scope of 1 to 128 letters (A-Z, a-z), digits, '.', '_', '-' and '/', which "
        "does not begin with '_', '-' or '/' or end with '/', and has no '..', no '//' and no part "
        "'.'",
    ),
]
# The bound keeps widths finite; a build within any budget has far less.
DepthMultiplier = Annotated[float, Gt(0), Le(1000)]

# The families of our own networks, by their modules.
_FAMILIES = {
    "alexnet": "AlexNet",
    "cifarnet": "CifarNet",
    "inception_resnet_v2": "Inception",
    "inception_v1": "Inception",
    "inception_v2": "Inception",
    "inception_v3": "Inception",
    "inception_v4": "Inception",
    "lenet": "LeNet",
    "mobilenet_v1": "MobileNet",
    "mobilenet_v2": "MobileNet",
    "mobilenet_v3": "MobileNet",
    "nasnet": "NASNet",
    "overfeat": "OverFeat",
    "pnasnet": "NASNet",
    "resnet": "ResNet",
    "s3dg": "I3D and S3D-G",
    "vgg": "VGG",
    "xception": "Xception",
}


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """One entry of the catalogue.

    `network(inputs, is_training=..., **params)` returns what TF-Slim's returns first and publishes
    end points. `input_shape` is one example's (H, W, C), of video (T, H, W, C); `fixed` holds the
    parameters that this name sets. `classes` is what the published checkpoints have, and what a
    spec builds that does not name `num_classes`; `background` says whether class 0 is background.
    """

    name: str
    network: Network
    arg_scope: Callable[..., ArgScope]
    input_shape: tuple[int, ...]
    preprocessing: str
    source: str
    classes: int
    background: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether the network is one of this package's."""
        return self.network.__module__.startswith("model_zoo.")

    @property
    def family(self) -> str:
        """The networks that it belongs to; of a network that is not ours, the package it is in."""
        package, _, module = self.network.__module__.partition(".")
        return _FAMILIES[module.rpartition(".")[2]] if self.is_own else package


_architectures: Registry[Architecture] = Registry("an architecture")


def register(entry: Architecture) -> Architecture:
    """Add an architecture to the catalogue.

    Raises: ValueError if the name is taken, or a fact is not of its kind.
    """
    name, shape = entry.name, entry.input_shape
    if not callable(entry.arg_scope):
        raise ValueError(
            f"arg_scope of {name} must be a function that returns an ArgScope; "
            f"received {entry.arg_scope!r}."
        )
    if len(shape) not in (3, 4) or not all(type(size) is int and size >= 1 for size in shape):
        raise ValueError(
            f"input_shape of {name} must be (height, width, channels), or with frames before them; "
            f"received {shape!r}."
        )
    _architectures.add(entry.name, entry, entry.network)
    return entry


def architecture(
    *,
    arg_scope: Callable[..., ArgScope],
    input_shape: tuple[int, ...],
    preprocessing: str,
    source: str,
    classes: int,
    background: bool = False,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[Network], Network]:
    """Decorate a network function to add it to the catalogue under its name.

    `variants` adds further names for the same network with some parameters set.
    """

    def decorate(network: Network) -> Network:
        for name, fixed in {network.__name__: {}, **(variants or {})}.items():
            register(
                Architecture(
                    name,
                    network,
                    arg_scope,
                    input_shape,
                    preprocessing,
                    source,
                    classes,
                    background,
                    fixed,
                )
            )
        return network

    return decorate


def registered() -> Mapping[str, Architecture]:
    """Return every architecture by name, in the order of registration."""
    return _architectures


def find_registered(name: str, pointer: str = "") -> Architecture:
    """Return an architecture.

    Raises: ZooError for an unknown name.
    """
    entry = _architectures.get(name)
    if entry is None:
        rule = f"There is no architecture {name!r}."
        raise ZooError(unknown_name(pointer, rule, name, _architectures, why_missing(name)))
    return entry
