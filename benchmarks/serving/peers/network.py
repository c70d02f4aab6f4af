"""The network that a peer serves."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import model_zoo
from benchmarks.serving.workload import BEST, NETWORKS
from model_zoo.weights.restore import NoLibrary

Array = npt.NDArray[np.float32]

# What the benchmark tells a peer's process.
NETWORK, PORT, ENGINE = "PEER_NETWORK", "PEER_PORT", "PEER_ENGINE"
MAX_BATCH = 8
BATCH_SECONDS = 0.005


# A class and its probability, by the names that the answer has.
Prediction = dict[str, Any]


class Network:
    """A network of the workload, its weights made here; it has run at every batch size.

    `threads` are those of a call; the default is the engine's own.
    """

    def __init__(self, threads: int = 0) -> None:
        spec = model_zoo.BuildSpec.read(NETWORKS[os.environ[NETWORK]])
        self._traced = model_zoo.trace(spec)
        self._run = _ENGINES[os.environ[ENGINE]](self._traced, threads)
        for rows in range(1, MAX_BATCH + 1):
            self.logits(np.zeros((rows, *spec.input_shape), np.float32))

    def rows_of_tensor(self, data: bytes) -> Array:
        """Return float32 numbers as rows.

        Shape: -> (N, H, W, C)
        """
        return np.frombuffer(data, np.float32).reshape(-1, *self._traced.spec.input_shape)

    def row_of_picture(self, data: bytes) -> Array:
        """Return a JPEG file as a row.

        Shape: -> (H, W, C)
        """
        image = model_zoo.decode_image(data)
        name, shape = self._traced.architecture.preprocessing, self._traced.spec.input_shape
        return model_zoo.preprocess(name, image, shape)

    def logits(self, rows: Array) -> Array:
        """Return the network's output.

        Shape: (N, H, W, C) -> (N, classes)
        """
        return np.asarray(self._run(rows)).reshape(len(rows), -1)


def best(logits: Array) -> list[Prediction]:
    """Return the most probable classes of one row."""
    probabilities = model_zoo.class_probabilities(logits[np.newaxis])[0]
    return [
        {"class": index, "probability": float(probabilities[index])}
        for index in model_zoo.top_classes(probabilities, BEST)
    ]


def _keras(traced: model_zoo.Trace, _threads: int) -> Any:
    model = model_zoo.materialize(traced).keras_model
    return lambda rows: model.predict(rows, verbose=0)


def _tensorflow(traced: model_zoo.Trace, _threads: int) -> Any:
    import tensorflow as tf

    model = model_zoo.materialize(traced).keras_model
    shape = [None, *traced.spec.input_shape]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def run(rows: Any) -> Any:
        return model(rows, training=False)

    return run


def _onnx(traced: model_zoo.Trace, threads: int) -> Any:
    import onnxruntime

    weights = model_zoo.build_weights(traced, NoLibrary())
    file = model_zoo.onnx_model(traced.graph, weights).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"input": rows})[0]


_ENGINES = {"keras": _keras, "tensorflow": _tensorflow, "onnxruntime": _onnx}


def port() -> int:
    """Return the port to listen on."""
    return int(os.environ[PORT])
