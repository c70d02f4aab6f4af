"""From graph to ONNX: one rule a primitive. Nothing here imports TensorFlow or Keras."""

from model_zoo.onnx_lowering import activations, convolutions, normalizations, pooling, shapes
from model_zoo.onnx_lowering.model import onnx_model
from model_zoo.onnx_lowering.rules import RULES

__all__ = [
    "RULES",
    "activations",
    "convolutions",
    "normalizations",
    "onnx_model",
    "pooling",
    "shapes",
]
