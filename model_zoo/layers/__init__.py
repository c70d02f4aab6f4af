"""The scoped ops: TF-Slim's layers, each emitting a few primitive nodes.

`OPS` holds every scoped op that a request can name.
"""

from model_zoo.layers.convolution import (
    conv2d,
    conv2d_transpose,
    conv3d,
    convolution2d,
    separable_conv2d,
)
from model_zoo.layers.dense import bias_add, dropout, flatten, fully_connected, softmax
from model_zoo.layers.normalization import batch_norm, group_norm, instance_norm, layer_norm
from model_zoo.layers.pooling import avg_pool2d, avg_pool3d, max_pool2d, max_pool3d
from model_zoo.layers.registry import find_op, normalizer_names, op_names, register_op

__all__ = [
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bias_add",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "convolution2d",
    "dropout",
    "find_op",
    "flatten",
    "fully_connected",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "max_pool2d",
    "max_pool3d",
    "normalizer_names",
    "op_names",
    "register_op",
    "separable_conv2d",
    "softmax",
]
