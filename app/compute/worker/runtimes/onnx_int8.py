"""Models in int8, by ONNX Runtime's static quantization: weights by channel, activations as uint8.

The range of an activation is from the least to the largest value that the calibration rows give it.
Ranges that leave out the rarest values, by percentiles or by entropy, agreed with float32 no better
on MobileNet v1, and take a histogram of each activation.

ONNX Runtime's own function for the whole writes the model, and the model with its calibration, to
temporary files, which a killed process would leave; its quantizer takes ranges from anywhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

from app.arrays import Array
from app.compute.cores import cores
from app.compute.worker.runtimes.onnx_sessions import folded, passing_session
from model_zoo import ZooError

# What int8 is for: without any of these, nothing is gained.
_MULTIPLYING = ("Conv", "Gemm", "MatMul")
# Between them, a tensor that stays in int8 is not converted twice.
_QUANTIZED = (
    *_MULTIPLYING,
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Flatten",
    "GlobalAveragePool",
    "MaxPool",
    "Mul",
    "Pad",
    "Relu",
    "Reshape",
    "Squeeze",
    "Transpose",
)
Ranges = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def quantized(
    model: onnx.ModelProto, beside: Mapping[str, NDArray[Any]], rows: Iterable[Array]
) -> onnx.ModelProto:
    """Return a model in int8 that rows calibrate: one of ONNX's operators, and (de)quantizers.

    `beside` has the initializers that the model declares only; the result has its own.

    Raises: ZooError if there is nothing to quantize, or the activations are not finite.
    """
    model, weights = folded(model, beside)
    del beside
    model = onnx.shape_inference.infer_shapes(model)
    if not any(node.op_type in _MULTIPLYING for node in model.graph.node):
        raise ZooError(
            "precision int8 is for convolutions and fully connected layers; what this computes "
            "has none. Use float32."
        )
    ranges = _ranges(model, weights, rows)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.raw_data = weights.pop(tensor.name).tobytes()
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, dict(ranges)),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=list(_QUANTIZED),
        extra_options={},
    )
    quantizer.quantize_model()
    result: onnx.ModelProto = quantizer.model.model
    return result


def _ranges(
    model: onnx.ModelProto, weights: Mapping[str, NDArray[Any]], rows: Iterable[Array]
) -> Ranges:
    """Return the least and the largest value of each activation, over rows computed one by one.

    The session reduces each activation to these two where it is computed, so that it holds no more
    of them than an inference does.
    """
    names = _activations(model)
    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    graph = measuring.graph
    del graph.output[:]
    for index, name in enumerate(names):
        for op in ("ReduceMin", "ReduceMax"):
            output = f"{op}:{index}"
            graph.node.add(op_type=op, name=output, input=[name], output=[output]).attribute.append(
                onnx.helper.make_attribute("keepdims", 0)
            )
            graph.output.add(name=output).type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    low = np.full(len(names), np.inf, np.float32)
    high = -low
    with passing_session(measuring, weights, cores()) as session:
        for row in rows:
            extremes = np.array(session.run(None, {"input": row[np.newaxis]}))
            low, high = np.minimum(low, extremes[::2]), np.maximum(high, extremes[1::2])
    del session
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ZooError(
            "precision int8 needs finite activations; those of this network overflow on the "
            "calibration rows. Use float32."
        )
    return {name: (low[index], high[index]) for index, name in enumerate(names)}


def _activations(model: onnx.ModelProto) -> list[str]:
    """Return the names of the float tensors that depend on the input."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    described = [*graph.input, *graph.value_info, *graph.output]
    return [
        name
        for name, elem_type in {
            each.name: each.type.tensor_type.elem_type for each in described
        }.items()
        if elem_type == onnx.TensorProto.FLOAT and name not in weights
    ]
