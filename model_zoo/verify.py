"""Replaying golden records: what the real TF-Slim networks computed, against what ours compute.

A record (gzipped JSON) holds a spec and what came out: variables in order of creation, end points,
output, losses, the profiler's multiply-adds. Weights and inputs are made again by the records' own
rule. Records of requests that TF-Slim refuses hold the error instead.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import ZooError
from model_zoo.graph import Graph, Variable
from model_zoo.lowering import Model, materialize
from model_zoo.spec import BuildSpec
from model_zoo.tracing import trace

# Measured between CPU kernels: inference stays under 4e-5, batch statistics under 1e-3.
TOLERANCE = {"inference": 1e-4, "batch statistics": 1e-3}
LOSS_TOLERANCE = 1e-5
# What Python says when a scope and a positional argument meet; here the argument wins.
POSITIONAL_CLASH = "got multiple values for argument"
_PROFILED = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul")


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay found: `difference` is the first one, None if there is none."""

    case: str
    difference: str | None

    @property
    def passed(self) -> bool:
        return self.difference is None


class _Difference(Exception):  # noqa: N818 - ends a comparison, never leaves this module
    pass


def find_records(paths: Iterable[Path]) -> list[Path]:
    """Return the records at the paths: files as they are, folders with all below them.

    Raises: ZooError if a path does not exist or a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ZooError(f"There is no file or folder {path}.")
        records = sorted(path.rglob("*.json.gz")) if path.is_dir() else [path]
        if not records:
            raise ZooError(f"The folder {path} holds no records (*.json.gz).")
        files += records
    return files


def verify_record(path: Path) -> Result:
    """Replay one record.

    Raises: ZooError if the file is not a record.
    """
    try:
        record = json.loads(gzip.decompress(path.read_bytes()))
        case, wire = record["case"], dict(record["spec"])
        batch, *wire["input_shape"] = wire["input_shape"]
    except (OSError, ValueError, KeyError, EOFError, zlib.error, TypeError) as error:
        raise ZooError(f"{path} is not a golden record: {error!r}.") from error
    try:
        if "error_type" in record:
            _check_refused(record, wire)
        else:
            _check(record, wire, batch)
    except _Difference as difference:
        return Result(case, str(difference))
    except ZooError as error:
        return Result(case, f"refused: {error}")
    return Result(case, None)


def _check_refused(record: Mapping[str, Any], wire: dict[str, Any]) -> None:
    clash = POSITIONAL_CLASH in record["error_message"]
    try:
        result = trace(BuildSpec.read(wire))
    except ZooError as error:
        if clash:
            raise _Difference(f"refused, where the call's argument should win: {error}") from error
        return
    if not clash:
        raise _Difference(f"built, where TF-Slim refuses: {record['error_message']}")
    argument = record["error_message"].rsplit("'", 2)[1]
    if not any(f"/args/{argument}: " in warning for warning in result.warnings):
        raise _Difference(f"no warning says that the override of {argument} was beaten")


def _check(record: Mapping[str, Any], wire: dict[str, Any], batch: int) -> None:
    result = trace(BuildSpec.read(wire))
    graph = result.graph
    _check_graph(record, graph, batch)
    model = materialize(result)
    gain = record["weight_gain"]
    model.assign({variable.name: golden_value(variable, gain) for variable in graph.variables})
    trains = any(n.op == "batch_norm" and n.attributes["is_training"] for n in graph.nodes)
    _check_numbers(record, model, batch, TOLERANCE["batch statistics" if trains else "inference"])


def _check_graph(record: Mapping[str, Any], graph: Graph, batch: int) -> None:
    _equal(
        "variables",
        [(v.name, list(v.shape), v.trainable) for v in graph.variables],
        [(v["name"], v["shape"], v["trainable"]) for v in record["variables"]],
    )
    _equal("params_total", sum(v.size for v in graph.variables), record["params_total"])
    trainable = sum(v.size for v in graph.variables if v.trainable)
    _equal("params_trainable", trainable, record["params_trainable"])
    _equal(
        "end points",
        [(key, [batch, *tensor.shape[1:]]) for key, tensor in graph.end_points.items()],
        [(end["key"], end["shape"]) for end in record["endpoints"]],
    )
    _equal("output shape", [batch, *graph.output.shape[1:]], record["output"]["shape"])
    by_op = record["profiler_flops_by_op"]
    _equal("macs_profiler_flops", sum(by_op.values()), record["macs_profiler_flops"])
    profiled = sum(by_op.get(op, 0) for op in _PROFILED)
    multiply_adds = sum(node.multiply_adds for node in graph.nodes)
    _equal("multiply-adds", 2 * batch * multiply_adds, profiled)
    training = [n for n in graph.nodes if n.op == "batch_norm" and n.attributes["is_training"]]
    _equal("update_ops_count", 2 * len(training), record["update_ops_count"])


def _check_numbers(record: Mapping[str, Any], model: Model, batch: int, tolerance: float) -> None:
    _equal(
        "regularization_losses_count",
        model.regularization_losses_count,
        record["regularization_losses_count"],
    )
    _close(
        "regularization_loss",
        [model.regularization_loss()],
        [record["regularization_loss"]],
        LOSS_TOLERANCE,
        abs(record["regularization_loss"]),
    )
    x = golden_input((batch, *(size or 0 for size in model.graph.input.shape[1:])))
    ends = model.predict_end_points(x)
    for expected in record["endpoints"]:
        _check_values(f"end point {expected['key']}", ends[expected["key"]], expected, tolerance)
    output = record["output"]
    # Nearly every network publishes its output; computing it again would double the time.
    published = [key for key, end in model.graph.end_points.items() if end is model.graph.output]
    values = ends[published[0]] if published else model.predict(x)
    _check_values(f"output {output['key']}", values, output, tolerance)
    moved = record.get("moving_after_one_update")
    if moved:
        model.update_moving_averages(x)
        weights = model.weights()
        for name, expected in _moved(moved):
            if name not in weights:
                raise _Difference(f"moving_after_one_update: there is no variable {name}")
            _check_values(f"moved {name}", weights[name], expected, tolerance)


def _moved(moved: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    entries = moved.items() if isinstance(moved, dict) else ((m["name"], m) for m in moved)
    for name, expected in entries:
        yield name, expected if isinstance(expected, dict) else {"head": expected}


def _check_values(
    what: str, actual: NDArray[Any], expected: Mapping[str, Any], tolerance: float
) -> None:
    """Compare what a record says of an array, relative to the array's own scale."""
    flat = np.asarray(actual, dtype=np.float64).ravel()
    listed = expected.get("values", expected.get("head", []))
    scale = max([expected.get("std", 0.0), *(abs(value) for value in listed)])
    _close(what, flat[: len(listed)], listed, tolerance, scale)
    for statistic, value in (("mean", flat.mean()), ("std", flat.std())):
        if statistic in expected:
            _close(f"{what} {statistic}", [value], [expected[statistic]], tolerance, scale)


def _close(
    what: str,
    actual: Iterable[float],
    expected: Iterable[float],
    tolerance: float,
    scale: float,
) -> None:
    for index, (got, want) in enumerate(zip(actual, expected, strict=True)):
        if not abs(got - want) <= tolerance * scale:
            raise _Difference(
                f"{what}[{index}]: {got:.9g}, not {want:.9g} "
                f"(relative {abs(got - want) / (scale or 1):.1e}, tolerance {tolerance:.0e})"
            )


def _equal(what: str, actual: Any, expected: Any) -> None:
    if actual == expected:
        return
    if isinstance(actual, list) and isinstance(expected, list):
        for index, (got, want) in enumerate(zip(actual, expected, strict=False)):
            if got != want:
                raise _Difference(f"{what}[{index}]: {got}, not {want}")
        raise _Difference(f"{what}: {len(actual)} of them, not {len(expected)}")
    raise _Difference(f"{what}: {actual}, not {expected}")


def golden_value(variable: Variable, gain: float = 1.0) -> NDArray[np.float32]:
    """Return the value that the records give a variable, by its name and shape."""
    random = np.random.RandomState(zlib.crc32(variable.name.encode()))
    shape = variable.shape
    last = variable.name.rsplit("/", 1)[-1]
    if last in ("weights", "pointwise_weights"):
        value = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])) * gain
    elif last == "depthwise_weights":
        value = random.standard_normal(shape) * np.sqrt(2 / (shape[0] * shape[1])) * gain
    elif last in ("biases", "beta", "moving_mean"):
        value = random.uniform(-0.1, 0.1, shape)
    elif last in ("gamma", "moving_variance"):
        value = random.uniform(0.8, 1.2, shape)
    else:
        value = random.standard_normal(shape) * 0.05
    return np.asarray(value).astype(np.float32)


def golden_input(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the input of the records, of any shape."""
    return np.random.RandomState(42).uniform(-1, 1, size=shape).astype(np.float32)
