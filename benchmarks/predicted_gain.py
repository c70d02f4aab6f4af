"""`python -m benchmarks.predicted_gain`: compare the predicted signal with the measured one.

Each network gets random weights and normal noise, once for each seed, in inference and in training
mode. What is measured is the geometric mean over seeds, since the prediction is a median. The table
stands in docs/experiments.md; names of networks as arguments replace those of the table, and
`--layers` prints each layer.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NETWORKS = (
    "alexnet_v2",
    "cifarnet",
    "inception_v1",
    "inception_v2",
    "inception_v3",
    "lenet",
    "mobilenet_edgetpu",
    "mobilenet_v1_025",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "nasnet_mobile",
    "pnasnet_mobile",
    "resnet_v1_50",
    "resnet_v2_50",
    "vgg_16",
    "xception_41",
)
HEADER = (
    "network",
    "mode",
    "predicted gain",
    "within a factor",
    "measured gain",
    "its range",
    "predicted / measured",
    "the same of layers",
)


def measured_rms(graph: Any, names: Sequence[str], seed: int, rows: int) -> list[float]:
    """Return the root mean square of tensors of a graph, for random weights and normal noise."""
    import keras
    import numpy as np
    import tensorflow as tf

    from model_zoo.lowering import materialize_graph

    keras.utils.clear_session()
    tensors = {node.output.name: node.output for node in graph.nodes}
    model = materialize_graph(graph, seed=seed)
    network = model.keras_model_to({name: tensors[name] for name in names})
    noise = np.random.default_rng(seed).normal(size=(rows, *graph.input.shape[1:]))

    @tf.function
    def squares(x: Any) -> Any:
        outputs = network(x, training=False)
        # A signal of 1e-20 has a square below what float32 holds.
        return [tf.reduce_mean(tf.cast(outputs[name], tf.float64) ** 2) for name in names]

    return [float(square) ** 0.5 for square in squares(noise.astype("float32"))]


def compare(name: str, *, is_training: bool, seeds: int, rows: int, with_layers: bool) -> list[str]:
    """Return a row of the table; print each layer, if they are wanted."""
    import model_zoo
    from model_zoo.predicted_signal.prediction import scores

    spec = {"architecture": name, "is_training": is_training}
    traced = model_zoo.trace(model_zoo.BuildSpec.read(spec))
    graph, predicted = traced.graph, traced.predicted_signal()
    end = scores(graph)
    layers = [nodes[-1].output for nodes in traced.layer_nodes()]
    needed = {node.output for node in graph.nodes_before([end])}
    tensors = {tensor.name: tensor for tensor in [*layers, end] if tensor in needed}
    runs = [measured_rms(graph, list(tensors), seed, rows) for seed in range(seeds)]
    ratios = {}
    for tensor, values in zip(tensors.values(), zip(*runs, strict=True), strict=True):
        rms, measured = predicted.rms(tensor) or 0.0, statistics.geometric_mean(values)
        ratios[tensor] = rms / measured
        if with_layers:
            print(f"{rms:10.4g} {measured:10.4g} {rms / measured:7.3f} {tensor.name}")
    start = list(tensors).index(graph.input.name)
    gains = sorted(run[list(tensors).index(end.name)] / run[start] for run in runs)
    gain = statistics.geometric_mean(gains)
    return [
        f"`{name}`",
        "training" if is_training else "inference",
        f"{predicted.gain:.2g}",
        f"{predicted.spread:.2f}",
        f"{gain:.2g}",
        f"{gains[0]:.2g} to {gains[-1]:.2g}",
        f"{(predicted.gain or 0.0) / gain:.2f}",
        f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER), flush=True)
    for name in options.networks:
        for is_training in (False, True):
            row = compare(
                name,
                is_training=is_training,
                seeds=options.seeds,
                rows=options.rows,
                with_layers=options.layers,
            )
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
