"""The types of the scoped ops' arguments: what each may hold, in Python and in a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Len

from model_zoo.graph import Tensor
from model_zoo.primitives import Padding
from model_zoo.values import (
    ByName,
    EachByName,
    Initializer,
    NormalizerArguments,
    NormalizerByName,
    NumbersOnly,
    Regularizer,
)

__all__ = [
    "ActivationFn",
    "Axes",
    "Axis",
    "Count",
    "Decay",
    "Epsilon",
    "InitializerFn",
    "KeepProbability",
    "NormalizerFn",
    "NormalizerParams",
    "Padding",
    "ParamInitializers",
    "ParamRegularizers",
    "RegularizerFn",
    "Size",
    "Size3D",
    "Sizes",
]

Count = Annotated[int, Ge(1)]
Size = Count | Annotated[Sequence[Count], Len(2, 2)]
Size3D = Count | Annotated[Sequence[Count], Len(3, 3)]
Axis = Annotated[int, Ge(-5), Le(5)]
# A tensor has at most five dimensions. Without a limit, one value of megabytes would be repeated in
# the reports of every layer that it reaches.
Axes = Annotated[Sequence[Axis], Len(0, 5)]
Sizes = Annotated[Sequence[Count | None], Len(1, 5)]
Decay = Annotated[float, Ge(0), Le(1), NumbersOnly()]
Epsilon = Annotated[float, Gt(0), NumbersOnly()]
KeepProbability = Annotated[float, Gt(0), Le(1)]
ActivationFn = Annotated[Callable[[Tensor], Tensor] | None, ByName("activation")]
InitializerFn = Annotated[Initializer, ByName("initializer")]
RegularizerFn = Annotated[Regularizer | None, ByName("regularizer")]
NormalizerFn = Annotated[Callable[..., Tensor] | None, NormalizerByName()]
NormalizerParams = Annotated[Mapping[str, Any] | None, NormalizerArguments()]
ParamInitializers = Annotated[Mapping[str, Initializer] | None, EachByName("initializer")]
ParamRegularizers = Annotated[Mapping[str, Regularizer] | None, EachByName("regularizer")]
