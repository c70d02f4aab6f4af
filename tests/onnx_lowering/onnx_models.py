"""ONNX models checked, run, and compared with the Keras models of the same graphs."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from model_zoo import Graph, Tensor
from model_zoo.graph import build_graph
from model_zoo.lowering import Model
from model_zoo.onnx_lowering import onnx_model
from model_zoo.onnx_options import DEFAULT_OPSET

Array = NDArray[np.float32]
TOLERANCE = 1e-4  # of the largest value


def lowered_weights(graph: Graph) -> dict[str, Array]:
    """Return weights that hide nothing: no zeros, no ones."""
    random = np.random.RandomState(3)
    return {
        v.name: (
            random.uniform(0.5, 1.5, v.shape)
            if v.name.endswith(("gamma", "variance"))
            else random.normal(0, 0.5, v.shape)
        ).astype(np.float32)
        for v in graph.variables
    }


def checked(model: onnx.ModelProto) -> bytes:
    """Return a model's file, which ONNX's checker has accepted."""
    content = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(content, full_check=True)
    return content


def run(model: onnx.ModelProto | bytes, *batches: Array, is_optimized: bool = True) -> list[Array]:
    """Return ONNX Runtime's output of each batch."""
    options = onnxruntime.SessionOptions()
    # Other threads would turn while they wait, on cores that other processes of tests need.
    options.intra_op_num_threads = 1
    options.log_severity_level = 2
    if not is_optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [session.run(["output"], {"input": batch})[0] for batch in batches]


def difference(actual: Array, expected: Array) -> float:
    """Return the largest difference relative to the largest value."""
    assert actual.shape == expected.shape
    assert np.isfinite(expected).all()
    # One example by itself is 0 after the norm of its batch.
    scale = np.abs(expected).max() or 1.0
    return float(np.abs(actual - expected).max() / scale)


def compare(graph: Graph, weights: Mapping[str, Array], batches: list[Array]) -> onnx.ModelProto:
    """Check a graph's ONNX model, and its outputs against Keras's; return it."""
    exported = onnx_model(graph, weights)
    content = checked(exported)
    check_layout(graph, weights, batches)
    keras = Model(graph)
    keras.assign(weights)
    for batch, actual in zip(batches, run(content, *batches), strict=True):
        expected = np.asarray(keras.keras_model(batch, training=False))
        assert difference(actual, expected) < TOLERANCE
    assert np.ptp(expected) > 0
    return exported


def check_layout(
    graph: Graph,
    weights: Mapping[str, Array],
    batches: list[Array],
    *,
    opset: int = DEFAULT_OPSET,
    is_optimized: bool = False,
) -> None:
    """Check a graph's model with channels first, and that its outputs have the same bits.

    ONNX Runtime's optimizer may move a transposition past a mean, which then adds up in another
    order; whole networks have none there.
    """
    content = checked(onnx_model(graph, weights, opset=opset, layout="nchw"))
    expected = run(onnx_model(graph, weights, opset=opset), *batches, is_optimized=is_optimized)
    ours = [np.ascontiguousarray(channels_first(batch)) for batch in batches]
    for actual, other in zip(run(content, *ours, is_optimized=is_optimized), expected, strict=True):
        np.testing.assert_array_equal(actual, channels_first(other), strict=True)


def channels_first(array: Array) -> Array:
    return np.moveaxis(array, -1, 1)


def agree(network: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> onnx.ModelProto:
    """Compare a small network on one example and on three; return its ONNX model."""
    graph = build_graph(network, shape)
    random = np.random.RandomState(5)
    batches = [random.normal(0.3, 1.2, (n, *shape)).astype(np.float32) for n in (1, 3)]
    return compare(graph, lowered_weights(graph), batches)
