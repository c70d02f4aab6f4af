"""`make bench`: compare the cost of tracing with its alternatives, in one run, as ratios.

Prints the table and writes it to `benchmarks/results.md`.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service import Service, running_service
from benchmarks.weights import bench_weights

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RESULTS = Path(__file__).with_name("results.md")


def median_seconds(run: Callable[[], Any], repeat: int, inner: int = 1) -> float:
    """Return the median over `repeat` of the seconds that one of `inner` runs takes."""
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(inner):
            run()
        times.append((time.perf_counter() - start) / inner)
    return statistics.median(times)


def process_seconds(code: str, repeat: int) -> float:
    """Return the median seconds that a fresh Python takes for a statement, start included."""
    # Bytecode is cached, as in an installation.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        subprocess.run(
            [sys.executable, "-c", code], check=True, env=environment, capture_output=True
        )

    return median_seconds(run, repeat)


def spell(seconds: float) -> str:
    """Return a duration in the unit that reads best."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def bench_traces() -> list[tuple[str, str, str, str]]:
    """Trace and summary against Keras building its own network of the same name."""
    import keras

    import model_zoo

    rows = []
    for name, rival in (
        ("inception_v3", keras.applications.InceptionV3),
        ("mobilenet_v1", keras.applications.MobileNet),
    ):

        def traced(name: str = name) -> None:
            spec = model_zoo.BuildSpec.read({"architecture": name})
            _ = model_zoo.trace(spec).summary().totals

        def built(rival: Callable[..., Any] = rival) -> None:
            rival(weights=None)
            keras.utils.clear_session()

        ours, theirs = median_seconds(traced, 15), median_seconds(built, 3)
        rows.append(
            (
                f"{name}: trace + summary",
                spell(ours),
                f"keras.applications.{rival.__name__}(weights=None): {spell(theirs)}",
                f"{theirs / ours:.0f} times faster",
            )
        )
    return rows


def bench_large() -> list[tuple[str, str, str, str]]:
    """The largest network, and all of them, against Keras building large ones of its own."""
    import keras

    import model_zoo

    def traced(name: str) -> None:
        classes = model_zoo.find_architecture(name).classes
        wire = {"architecture": name, "params": {"num_classes": classes}}
        _ = model_zoo.trace(model_zoo.BuildSpec.read(wire)).summary().totals

    def built(rival: Callable[..., Any]) -> None:
        rival(weights=None)
        keras.utils.clear_session()

    names = model_zoo.list_architectures()
    large = median_seconds(lambda: traced("nasnet_large"), 7)
    every = median_seconds(lambda: [traced(name) for name in names], 3)
    nasnet = median_seconds(lambda: built(keras.applications.NASNetLarge), 1)
    resnet = median_seconds(lambda: built(keras.applications.ResNet152V2), 1)
    return [
        (
            "nasnet_large: trace + summary",
            spell(large),
            f"keras.applications.NASNetLarge(weights=None): {spell(nasnet)}",
            f"{nasnet / large:.0f} times faster",
        ),
        (
            f"all {len(names)} architectures: trace + summary",
            spell(every),
            f"keras.applications.ResNet152V2(weights=None), twice: {spell(2 * resnet)}",
            f"{2 * resnet / every:.1f} times faster",
        ),
    ]


def bench_scopes() -> list[tuple[str, str, str, str]]:
    """A scoped call over the bare function, and entering a scope."""
    from model_zoo import add_arg_scope, arg_scope
    from model_zoo.layers import batch_norm, conv2d
    from model_zoo.provenance import recording

    def bare(x: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
        return x

    scoped = add_arg_scope(bare)
    with arg_scope([scoped], a=1, b=2), arg_scope([scoped], c=3):
        plain = median_seconds(lambda: bare(1, a=1, b=2, c=3), 25, 5000)
        call = median_seconds(lambda: scoped(1), 25, 5000)
    recorded = []
    for _ in range(25):
        with recording(), arg_scope([scoped], a=1, b=2), arg_scope([scoped], c=3):
            recorded.append(median_seconds(lambda: scoped(1), 1, 2000))

    def enter() -> None:
        with arg_scope([conv2d, batch_norm], trainable=False):
            pass

    return [
        (
            "a scoped call",
            spell(call),
            f"the bare call: {spell(plain)}",
            f"{(call - plain) * 1e6:.2f} us more",
        ),
        (
            "a scoped call, recorded by a trace",
            spell(statistics.median(recorded)),
            f"the bare call: {spell(plain)}",
            f"{(statistics.median(recorded) - plain) * 1e6:.2f} us more",
        ),
        ("entering and leaving a scope of two ops", spell(median_seconds(enter, 25, 2000)), "", ""),
    ]


def bench_imports() -> list[tuple[str, str, str, str]]:
    """Importing the library against importing TensorFlow, each in a fresh process."""
    ours = process_seconds("import model_zoo", 7)
    theirs = process_seconds("import tensorflow", 3)
    return [
        (
            "import model_zoo",
            spell(ours),
            f"import tensorflow: {spell(theirs)}",
            f"{theirs / ours:.0f} times faster",
        )
    ]


def bench_http() -> list[tuple[str, str, str, str]]:
    """A build request over HTTP against the trace in process; every request a new build."""
    import model_zoo

    numbers = iter(range(1, 10_000))

    def spec() -> dict[str, Any]:
        return {"architecture": "inception_v3", "params": {"num_classes": next(numbers)}}

    def in_process() -> None:
        trace = model_zoo.trace(model_zoo.BuildSpec.read(spec()))
        _ = trace.summary().totals, trace.warnings

    with running_service() as service:

        def over_http() -> None:
            service.client.post("/v1/builds", json=spec()).raise_for_status()

        ours, http = median_seconds(in_process, 25), median_seconds(over_http, 25)
    return [
        (
            "POST /v1/builds, inception_v3",
            spell(http),
            f"trace + summary + warnings in process: {spell(ours)}",
            f"{http / ours:.2f} times its time",
        )
    ]


def bench_diff() -> list[tuple[str, str, str, str]]:
    """The diff of two nasnet_large that differ in every layer, and by ids over HTTP."""
    import model_zoo

    levels = [
        {"ops": ["conv2d", "separable_conv2d"], "args": {"activation_fn": "elu"}, "force": True},
        {"ops": ["batch_norm"], "args": {"decay": 0.9}, "force": True},
    ]
    specs: list[dict[str, Any]] = [
        {"architecture": "nasnet_large"},
        {"architecture": "nasnet_large", "scopes": levels},
    ]

    def traces() -> list[model_zoo.Trace]:
        return [model_zoo.trace(model_zoo.BuildSpec.read(spec)) for spec in specs]

    a, b = traces()
    tracing = median_seconds(traces, 7)
    ours = median_seconds(lambda: model_zoo.diff(a, b).to_dict(), 15)
    with running_service() as service:
        posted = [service.client.post("/v1/builds", json=spec).json()["id"] for spec in specs]
        path = f"/v1/builds/{posted[0]}/diff/{posted[1]}"
        http = median_seconds(lambda: service.client.get(path).raise_for_status(), 15)
    return [
        (
            "diff of two nasnet_large, traces in hand",
            spell(ours),
            f"the two traces: {spell(tracing)}",
            f"{ours / tracing:.2f} times their time",
        ),
        (
            "GET /v1/builds/{a}/diff/{b}, two nasnet_large",
            spell(http),
            f"traces and diff in process: {spell(tracing + ours)}",
            f"{http / (tracing + ours):.2f} times their time",
        ),
    ]


_ACTIVATIONS = [
    *("relu", "relu6", "elu", "selu", "gelu"),
    *("leaky_relu", "softplus", "swish", "tanh", "sigmoid"),
]


def bench_sweeps() -> list[tuple[str, str, str, str]]:
    """A thousand configurations over HTTP, nothing traced before, while health is asked for."""
    import keras

    def constructed() -> None:
        for tenth in range(1, 11):
            keras.applications.MobileNetV2(weights=None, alpha=tenth / 10, input_shape=(96, 96, 3))
        keras.utils.clear_session()

    theirs = median_seconds(constructed, 1)
    widths = [tenth / 10 for tenth in range(1, 11)]
    # MobileNet v2 takes its activation as a parameter, and passes it on to its blocks.
    wide = {"/params/depth_multiplier": widths}
    by_parameter = {"/params/activation_fn": _ACTIVATIONS}
    # Of the larger pictures, pools of a fixed size leave more than one position.
    inception = {
        "params": {"spatial_squeeze": False},
        "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "relu"}}],
    }
    classes = {"/params/num_classes": list(range(100, 1100, 100))}
    by_scope = {"/scopes/0/args/activation_fn": _ACTIVATIONS}
    rows = []
    for name, more, first, last, smallest, target_s in (
        ("mobilenet_v2", {}, wide, by_parameter, 96, 3.5),
        ("inception_v3", inception, classes, by_scope, 139, 6),
    ):
        sizes = [smallest + 32 * step for step in range(10)]
        document = {
            "spec": {"architecture": name, "input_shape": [smallest, smallest, 3], **more},
            "axes": {
                **first,
                "size": {"zip": {"/input_shape/0": sizes, "/input_shape/1": sizes}},
                **last,
            },
        }
        with running_service() as service:
            seconds, health_s = _sweep(service, document)
        rows.append(
            (
                f"sweep of 1,000 {name} over HTTP (target {target_s:g} s)",
                spell(seconds),
                f"Keras constructing ten MobileNetV2: {spell(theirs)}",
                f"{100 * theirs / seconds:.0f} times faster for each",
            )
        )
        rows.append(
            (f"p99 of GET /healthz meanwhile, {name} (target 50 ms)", spell(health_s), "", "")
        )
    return rows


def _sweep(service: Service, document: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds from a sweep's request to its last row, and the p99 of health checks."""
    asked: list[float] = []
    has_ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
            while not has_ended.wait(0.05):
                begun = time.perf_counter()
                client.get("/healthz").raise_for_status()
                asked.append(time.perf_counter() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    start = time.perf_counter()
    response = service.client.post(
        "/v1/sweeps", json=document, headers={"Accept": "application/x-ndjson"}
    )
    seconds = time.perf_counter() - start
    has_ended.set()
    thread.join()
    rows = [json.loads(line) for line in response.text.splitlines()]
    if [row["status"] for row in rows] != ["traced"] * 1000:
        raise ValueError(f"not all rows were traced: {response.text[-1000:]}")
    return seconds, sorted(asked)[math.ceil(0.99 * len(asked)) - 1]


def bench_probe() -> list[tuple[str, str, str, str]]:
    """A probe of mobilenet_v1 in one mode, against its prediction of the same rows."""
    import numpy as np

    import model_zoo

    traced = model_zoo.trace(model_zoo.BuildSpec.read({"architecture": "mobilenet_v1"}))
    rows = np.random.default_rng(0).standard_normal((8, 224, 224, 3), np.float32)

    def predicted() -> None:
        model_zoo.materialize(traced).predict(rows)

    ours = median_seconds(lambda: model_zoo.probe(traced, inputs=rows, modes=["inference"]), 3)
    theirs = median_seconds(predicted, 3)
    return [
        (
            "probe of mobilenet_v1, 8 rows, inference mode",
            spell(ours),
            f"materialize and predict the rows: {spell(theirs)}",
            f"{ours / theirs:.2f} times its time",
        )
    ]


BENCHES = (
    bench_imports,
    bench_scopes,
    bench_traces,
    bench_large,
    bench_diff,
    bench_probe,
    bench_http,
    bench_sweeps,
    bench_weights,
)


def main() -> None:
    """Run every benchmark and print and keep the table."""
    lines = ["| measured | time | against | ratio |", "|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for bench in BENCHES:
        for row in bench():
            lines.append("| " + " | ".join(row) + " |")
            print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
