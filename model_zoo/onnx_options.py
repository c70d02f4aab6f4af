"""What can be chosen of an ONNX file. Nothing here imports ONNX: the service lists the options."""

from collections.abc import Mapping
from typing import Literal, get_args

# Of the input and the outputs. Videos have their time before height and width in both.
OnnxLayout = Literal["nhwc", "nchw"]
ONNX_LAYOUTS: tuple[OnnxLayout, ...] = get_args(OnnxLayout)

# Each opset with the file version it was published with: what is oldest opens in most runtimes.
# The newest is that of the locked ONNX and ONNX Runtime.
IR_VERSIONS: Mapping[int, int] = {
    17: 8,
    18: 8,
    19: 9,
    20: 9,
    21: 10,
    22: 10,
    23: 11,
    24: 12,
    25: 13,
    26: 13,
    27: 13,
    28: 14,
}
OPSETS = tuple(IR_VERSIONS)
# The oldest with every activation as one operator (Gelu came with 20); ONNX Runtime since 1.17.
DEFAULT_OPSET = 20
