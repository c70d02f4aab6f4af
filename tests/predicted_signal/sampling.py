"""Networks with drawn weights on normal noise, in ONNX Runtime: what is to be predicted."""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_zoo import Graph, Tensor
from model_zoo.graph import build_graph
from model_zoo.onnx_lowering import onnx_model
from model_zoo.predicted_signal.prediction import PredictedSignal, predict_signal
from model_zoo.weights.random import random_value

Network = Callable[[Tensor], Tensor]


def sampled(
    graph: Graph, tensors: Sequence[Tensor], *, draws: int, rows: int = 8
) -> list[NDArray[np.float64]]:
    """Return the values of tensors, of all draws of the weights. Shape: (draws, rows, ...)"""
    names = [f"output_{index}" for index, _ in enumerate(tensors)]
    outputs = dict(zip(names, tensors, strict=True))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    values = []
    for seed in range(draws):
        weights = {variable.name: random_value(seed, variable) for variable in graph.variables}
        model = onnx_model(graph, weights, outputs=outputs).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        noise = np.random.default_rng(seed).normal(size=(rows, *graph.input.shape[1:]))
        values.append(session.run(names, {"input": noise.astype(np.float32)}))
    return [np.stack(each).astype(np.float64) for each in zip(*values, strict=True)]


def sampled_rms(graph: Graph, tensor: Tensor, *, draws: int, rows: int = 8) -> NDArray[np.float64]:
    """Return a tensor's root mean square for each draw of the weights. Shape: (draws,)"""
    (values,) = sampled(graph, [tensor], draws=draws, rows=rows)
    rows_of_draws = values.reshape(draws, -1)
    squares = np.einsum("dv,dv->d", rows_of_draws, rows_of_draws)
    root: NDArray[np.float64] = np.sqrt(squares / rows_of_draws.shape[1])
    return root


def ratio(
    network: Network, shape: tuple[int, ...], *, draws: int = 40, rows: int = 8
) -> tuple[float, PredictedSignal]:
    """Return predicted over measured rms of a network's output, and the prediction.

    Measured is the geometric mean over draws of the weights, which is the median of log-normal
    values.
    """
    graph = build_graph(network, shape)
    signal = predict_signal(graph)
    assert signal.reason is None
    rms = signal.rms(graph.output)
    measured = float(
        np.exp(np.log(sampled_rms(graph, graph.output, draws=draws, rows=rows)).mean())
    )
    assert rms is not None
    return rms / measured, signal
