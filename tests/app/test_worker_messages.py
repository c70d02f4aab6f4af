"""Messages between processes: tasks, results and errors are the same on the other side."""

import asyncio
import json
import logging
import math
import mmap
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import msgspec
import numpy as np
import pytest
from fake_worker import LOADED, FakeProcess, in_reader, obey
from msgspec import msgpack
from zoo_server import npy_bytes

from app.compute.child_process import ProcessGoneError
from app.compute.connection import Connection
from app.compute.frames import Frame, FrameReader, pieces
from app.compute.messages import (
    ArenaRows,
    Call,
    Compute,
    Load,
    Unload,
    answer_of_call,
    encode,
    error_of,
    failure,
    reading_call,
    worker_call,
)
from app.compute.parent import Parent
from app.documents import MalformedJsonError
from app.engine import OutOfMemoryError, Reply, WorkerFaultError
from app.protocols.tensorflow_serving.reading import ExpectedBody
from app.store.errors import StoreError
from app.tasks import (
    DecodedInputs,
    InputPart,
    MeasureProfile,
    MeasureSignal,
    ReadInputs,
    ReadTensorFlowServing,
    SavedWeights,
    SaveWeights,
    Specs,
)
from app.telemetry.logs import JsonFormatter, _text_formatter, about_request
from model_zoo import InputError, Problem, SpecError, WeightsError, ZooError

SPEC = {"architecture": "lenet", "scopes": [{"args": {"stddev": 0.1, "stride": 10**30}}]}
SPECS = Specs.of(SPEC, {"b": SPEC})

WORKER_TASKS = [
    Load("a-auto-float32", SPECS, "auto", "float32", None),
    Load("a", SPECS, "auto", "bfloat16", LOADED),
    Unload("a"),
    Compute("a", ("output", "conv1"), (ArenaRows(0, 3), ArenaRows(2**40, 1)), is_alone=True),
    SaveWeights("a", SPECS, "onnx", {"opset": "17"}, "/home"),
    MeasureProfile("a", SPECS, "tensorflow", "float32", 2, 10, 1.5, 2.5),
    MeasureSignal(SPECS, None, False, 8, 2**63 - 1, True, ("training",), 1.5),
    MeasureSignal(SPECS, b"\x00" * 8, True, 1, 0, False, ("inference", "training"), 1.5),
]
READING_TASKS = [
    ReadInputs((InputPart("npy", ""), InputPart("image", "/image/0")), (28, 28, 1), "lenet"),
    ReadTensorFlowServing(ExpectedBody("classify", (2, 3, 1), True, 4, 1000)),
]


@pytest.mark.parametrize("task", WORKER_TASKS, ids=lambda task: type(task).__name__)
def test_a_worker_receives_the_task_that_was_sent(task: Any) -> None:
    assert worker_call(encode(Call(7, task))) == Call(7, task)


@pytest.mark.parametrize("task", READING_TASKS, ids=lambda task: type(task).__name__)
def test_a_reader_receives_the_task_that_was_sent(task: Any) -> None:
    assert reading_call(encode(Call(7, task))) == Call(7, task)


def test_specs_hold_integers_of_any_length() -> None:
    received = worker_call(encode(Call(7, WORKER_TASKS[0]))).task
    assert isinstance(received, Load)
    assert (received.specs.spec, received.specs.sources) == (SPEC, {"b": SPEC})


def test_a_process_refuses_the_tasks_of_another() -> None:
    for task, decode in ((READING_TASKS[0], worker_call), (WORKER_TASKS[0], reading_call)):
        with pytest.raises(msgspec.ValidationError):
            decode(encode(Call(1, task)))


@pytest.mark.parametrize(
    ("task", "result"),
    [
        (WORKER_TASKS[0], LOADED),
        (WORKER_TASKS[2], None),
        (WORKER_TASKS[3], ((4, 10), (4, 2, 2))),
        (WORKER_TASKS[4], SavedWeights("/home/a.npz", "0" * 64)),
    ],
)
def test_a_result_is_of_the_type_that_its_task_names(task: Any, result: Any) -> None:
    assert msgpack.decode(encode(result), type=task.result_type()) == result
    with pytest.raises(msgspec.ValidationError):
        msgpack.decode(encode("something else"), type=task.result_type())


def test_a_difference_that_is_no_number_stays_one() -> None:
    state = msgpack.decode(encode(replace(LOADED, difference=math.nan)), type=type(LOADED))
    assert math.isnan(state.difference)


# Errors ---------------------------------------------------------------------------------------

PROBLEMS = (
    Problem("Too many rows.", "/instances", 10**40, "4"),
    # What no UTF-8 has: a client's JSON may.
    Problem("There is no \ud800.", "/inputs/0/name", "\ud800", None),
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MalformedJsonError(*PROBLEMS), MalformedJsonError),
        (InputError(*PROBLEMS), InputError),
        (WeightsError(*PROBLEMS), WeightsError),
        (ZooError(*PROBLEMS), ZooError),
        (SpecError(*PROBLEMS), ZooError),
        (StoreError("The disk reported an error."), StoreError),
        (OutOfMemoryError("There was not enough memory."), OutOfMemoryError),
        (WorkerFaultError("internal error"), WorkerFaultError),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: Exception, kind: type[Exception]) -> None:
    message = answer_of_call(encode(failure(3, error)))
    assert message.id == 3
    other = error_of(message)
    assert (type(other), str(other)) == (kind, str(error))
    if isinstance(error, ZooError):
        assert other.problems == error.problems


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(28, "No space left on device"),
            StoreError("The disk reported an error: No space left on device."),
        ),
        (MemoryError(), OutOfMemoryError("There was not enough memory to compute this. Send fewer "
         "rows, or less at once.")),
        (RuntimeError("Failed to allocate memory for 8 bytes"), OutOfMemoryError("There was not "
         "enough memory to compute this. Send fewer rows, or less at once.")),
        (KeyError("secret"), WorkerFaultError("internal error")),
    ],
)  # fmt: skip
def test_a_child_says_what_a_client_may_read_of_a_foreign_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: Exception
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Parent, "__init__", lambda self: None)
    monkeypatch.setattr(Parent, "send", lambda self, message, buffers: sent.append(message))

    def run() -> Reply[Any]:
        raise error

    Parent().answer(Call(5, None), run)  # type: ignore[call-arg]
    (message,) = sent
    other = error_of(answer_of_call(encode(message)))
    assert (message.id, type(other), str(other)) == (5, type(expected), str(expected))


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_child_logs_which_request_it_works_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    monkeypatch.setattr(Parent, "__init__", lambda self: None)
    monkeypatch.setattr(Parent, "send", lambda self, message, buffers: None)
    formatter = JsonFormatter("worker") if form == "json" else _text_formatter("worker")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    monkeypatch.setattr(logging.getLogger("app.worker"), "handlers", [handler])

    def run() -> Reply[Any]:
        raise KeyError("secret")

    def line() -> str:
        return capsys.readouterr().err.splitlines()[0]

    process = FakeProcess(obey, [])
    posted: list[Frame] = []
    monkeypatch.setattr(process, "post", posted.append)

    async def post() -> None:
        with about_request({"request_id": "abc", "trace_id": "f" * 32}):
            Connection(process).post(Unload("a")).close()  # type: ignore[arg-type]

    asyncio.run(post())
    call = worker_call(posted[0].message)
    Parent().answer(call, run)  # type: ignore[call-arg]
    if form == "json":
        document = json.loads(line())
        assert (document["request_id"], document["trace_id"]) == ("abc", "f" * 32)
        return
    assert line().endswith(": A task failed. id=abc")
    Parent().answer(Call(5, None, {"request_ids": ["a", "b"]}), run)  # type: ignore[call-arg]
    assert line().endswith(": A task failed. id=a id=b")
    Parent().answer(Call(5, None), run)  # type: ignore[call-arg]
    assert line().endswith(": A task failed.")


# Bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_frames_are_read_as_they_were_written_however_they_arrive(size: int) -> None:
    array = np.arange(6, dtype=np.float32)
    frame = Frame(b"message", [b"", array.data.cast("B"), bytearray(b"abc")])
    data = b"".join(bytes(piece) for each in (frame, Frame(b"")) for piece in pieces(each))
    reader = FrameReader()
    arrived = [
        each for start in range(0, len(data), size) for each in reader.feed(data[start:][:size])
    ]
    assert arrived == [Frame(b"message", [b"", array.tobytes(), b"abc"]), Frame(b"", [])]
    assert pieces(frame)[2] is frame.buffers[1]  # not copied


def test_buffers_that_fit_go_through_shared_memory() -> None:
    with mmap.mmap(-1, 8) as outbox:
        reader = FrameReader(outbox)
        fitting, larger = Frame(b"a", [b"1234", b"", b"5678"]), Frame(b"b", [b"123456789"])
        sent = pieces(fitting, outbox)
        assert len(sent) == 1
        assert list(reader.feed(bytes(sent[0]))) == [fitting]
        sent = pieces(larger, outbox)
        assert len(sent) == 2
        assert [*reader.feed(bytes(sent[0])), *reader.feed(bytes(sent[1]))] == [larger]


def test_a_process_that_sends_no_answer_is_ended() -> None:
    class Hostile(FakeProcess):
        async def listen(self, on_frame: Callable[[Frame], None]) -> NoReturn:
            on_frame(Frame(b"\xc1 no message"))
            raise ProcessGoneError(await self.wait())

    async def run() -> str:
        process = Hostile(obey, [])
        connection: Any = Connection(process)  # type: ignore[arg-type]
        call = asyncio.create_task(connection.call(Unload("a")))
        await asyncio.sleep(0)
        with pytest.raises(ProcessGoneError, match="was ended: it sent a malformed answer"):
            await connection.listen()
        with pytest.raises(ProcessGoneError):
            await call
        return await process.wait()

    assert asyncio.run(run()) == "was ended: it sent a malformed answer"


def test_a_reader_s_result_is_typed() -> None:
    array = np.zeros((28, 28, 1), np.float32)
    reply = in_reader(ReadInputs((InputPart("npy", ""),), (28, 28, 1), "lenet"), [npy_bytes(array)])
    assert reply.result == DecodedInputs(1, (), has_images=False)
    assert bytes(reply.buffers[0]) == array.tobytes()
    assert set(reply.seconds) == {"decode"}
