"""From graph to Keras: one rule a primitive. Everything here imports Keras."""

from model_zoo.lowering import convolutions, normalizations, shapes
from model_zoo.lowering.model import Model, materialize, materialize_graph
from model_zoo.lowering.rules import RULES

__all__ = [
    "RULES",
    "Model",
    "convolutions",
    "materialize",
    "materialize_graph",
    "normalizations",
    "shapes",
]
