"""What engines take and return is the same in a process that it was pickled for."""

import pickle
from typing import Any

import numpy as np
import pytest

import model_zoo
from app.documents import MalformedJsonError
from app.engine import (
    Answer,
    DeadlineError,
    EngineFigures,
    EngineStatus,
    ModelRef,
    ModelState,
    OutOfMemoryError,
    ProcessUsage,
    Quantization,
    QueueFullError,
    Reply,
    Rows,
    WorkerDiedError,
    WorkerFaultError,
    WorkerUnavailableError,
)
from app.store.errors import StoreError
from app.tasks import (
    IdentifyRows,
    MeasuredProfile,
    MeasureProfile,
    MeasureSignal,
    SavedWeights,
    SaveWeights,
    Specs,
    SweepPart,
    TraceRows,
)
from model_zoo import Problem, ZooError

SPEC = {"architecture": "lenet", "scopes": [{"args": {"stddev": 0.1, "stride": 10**30}}]}
SPECS = Specs.of(SPEC, {"b": SPEC})
PROBLEMS = (Problem("Too many rows.", "/instances", 10**40, "4"), Problem("No \ud800.", "/name"))
ZOO_ERRORS = [
    each
    for each in vars(model_zoo).values()
    if isinstance(each, type) and issubclass(each, ZooError)
]

VALUES = [
    ModelRef("b", SPEC, {"c": SPEC}, "onnxruntime", "int8", True, 5, True, False, "0" * 64),
    Rows(b"\0" * 8, 2),
    ModelState("ready", size_bytes=3, warmed=(1, 2), quantization=Quantization(9, 3, 0.1, 1, 2, 3)),
    EngineStatus(True, "ready", "cpu", 1, 2, 3, None),
    EngineFigures(
        1, 2, {"room": 1}, {("a", "1"): 2}, True, 1, 0, {"worker": ProcessUsage(1, 2, 3.0)}
    ),
    SaveWeights("a", SPECS, "onnx", {"opset": "17"}, "/home"),
    MeasureProfile("a", SPECS, "tensorflow", "float32", 2, 10, 1.5, 2.5),
    MeasureSignal(SPECS, b"\0" * 8, True, 1, 0, False, ("inference", "training"), 1.5),
    IdentifyRows(SweepPart("a", b"{}", b"{}", (1, 2))),
    TraceRows(SweepPart("a", b"{}", b"{}", (1, 2))),
    Reply(SavedWeights("a", "b"), [b"1", b"2"], {"save": 0.5}),
    Reply(MeasuredProfile("onnxruntime", "float32", "cpu", 1, (), 0.1)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_the_same_in_another_process(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value, 5)) == value


def test_the_arrays_of_an_answer_are_the_same() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    answer = pickle.loads(pickle.dumps(Answer({"output": array}, {"compute": 0.1}, 4), 5))
    assert np.array_equal(answer.arrays["output"], array)
    assert (answer.seconds, answer.batch_rows) == ({"compute": 0.1}, 4)


@pytest.mark.parametrize(
    "error",
    [
        QueueFullError("64 requests wait.", 7, reason="traces"),
        DeadlineError("Too late."),
        OutOfMemoryError("No memory."),
        StoreError("The disk reported an error."),
        WorkerDiedError("It died."),
        WorkerFaultError("internal error"),
        WorkerUnavailableError("It is not there."),
        MalformedJsonError(*PROBLEMS),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_what_it_was_with_all_that_it_says(error: Exception) -> None:
    other = pickle.loads(pickle.dumps(error, 5))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("kind", ZOO_ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_of_the_library_has_its_problems(kind: type[ZooError]) -> None:
    error = kind.__new__(kind)  # whatever it takes to make one
    ZooError.__init__(error, *PROBLEMS)
    vars(error).update(layer="conv1", scopes=("a",), option="rows")
    other = pickle.loads(pickle.dumps(error, 5))
    assert (type(other), str(other), vars(other)) == (kind, str(error), vars(error))
