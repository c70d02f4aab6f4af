"""What the writers of weight files take."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from model_zoo.graph import Graph


class SavableModel(Protocol):
    """What is written: weights by TF-Slim's names, the Keras model that holds them, and its feed.

    `variables` are those of the Keras model, by the names of `weights`; `preprocessing` is None for
    networks that images do not feed, and `global_step` says how often the weights were trained.
    """

    def weights(self) -> dict[str, NDArray[Any]]: ...

    @property
    def keras_model(self) -> Any: ...

    @property
    def variables(self) -> Mapping[str, Any]: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def preprocessing(self) -> str | None: ...

    @property
    def global_step(self) -> int: ...
