"""What the writers of weight files take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from model_zoo.graph import Graph


class SavableWeights(Protocol):
    """The weights of a network by TF-Slim's names, and what files say of it.

    `preprocessing` is None for networks that images do not feed, and `global_step` says how often
    the weights were trained.
    """

    def weights(self) -> dict[str, NDArray[Any]]: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def preprocessing(self) -> str | None: ...

    @property
    def global_step(self) -> int: ...


class SavableModel(SavableWeights, Protocol):
    """A Keras model with its weights; `variables` are the model's own, by the weights' names."""

    @property
    def keras_model(self) -> Any: ...

    @property
    def variables(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class WeightArrays:
    """Weights that no model holds: enough for the formats of arrays."""

    graph: Graph
    arrays: dict[str, NDArray[Any]]
    preprocessing: str | None
    global_step: int

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the weights, in order of creation."""
        return self.arrays
