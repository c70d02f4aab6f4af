"""Which of the waiting requests are computed together."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.compute.arena import Block
from app.compute.batching import Batch, PendingRequest, RequestQueue
from app.engine import ModelRef

OUTPUT = ("output",)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Queue:
    """Waiting requests, by short names."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting = RequestQueue()
        self.names: dict[PendingRequest, str] = {}

    def add(self, name: str, model: str = "a", rows: int = 1, **facts: Any) -> PendingRequest:
        uses_batch_statistics = facts.pop("uses_batch_statistics", False)
        pending = PendingRequest(
            ModelRef(model, {}, {}, uses_batch_statistics=uses_batch_statistics),
            facts.pop("outputs", OUTPUT),
            Block(0, 64),
            rows,
            (model, "1"),
            facts.pop("arrived", 0.0),
            self._loop.create_future(),
            **facts,
        )
        self.names[pending] = name
        self.waiting.add(pending)
        return pending

    def next(self, limits: dict[str, int] | int = 8) -> Batch | None:
        def limit_of(model: ModelRef) -> int:
            return limits if isinstance(limits, int) else limits.get(model.build, 0)

        return self.waiting.next(limit_of)

    def take(self, limits: dict[str, int] | int = 8) -> list[str]:
        batch = self.next(limits)
        requests = batch.requests if batch else []
        for pending in requests:
            self.waiting.remove(pending)
        return [self.names[pending] for pending in requests]


@pytest.fixture
def requests(loop: asyncio.AbstractEventLoop) -> Queue:
    return Queue(loop)


def test_requests_for_the_same_outputs_of_a_model_go_together(requests: Queue) -> None:
    requests.add("1")
    requests.add("2", "b")
    requests.add("3", outputs=("Logits",))
    requests.add("4")
    assert [requests.take() for _ in range(4)] == [["1", "4"], ["2"], ["3"], []]


def test_a_batch_never_has_more_rows_than_its_limit(requests: Queue) -> None:
    for name, rows in (("1", 3), ("2", 3), ("3", 3), ("4", 1)):
        requests.add(name, rows=rows)
    assert requests.take(8) == ["1", "2"]  # the next does not fit, and none overtakes it
    assert requests.take(8) == ["3", "4"]


def test_a_request_larger_than_the_limit_goes_by_itself(requests: Queue) -> None:
    requests.add("1", rows=20)
    requests.add("2")
    assert [requests.take(8), requests.take(8)] == [["1"], ["2"]]


def test_models_that_are_not_in_memory_do_not_hold_others_up(requests: Queue) -> None:
    requests.add("1", "a")
    requests.add("2", "b")
    assert requests.take({"b": 8}) == ["2"]
    assert requests.take({"b": 8}) == []
    assert requests.take({"a": 8}) == ["1"]


def test_requests_whose_rows_change_each_other_are_not_batched(requests: Queue) -> None:
    requests.add("1", uses_batch_statistics=True)
    requests.add("2", uses_batch_statistics=True)
    batch = requests.next()
    assert batch is not None
    assert batch.is_full  # so that it waits for no others
    assert [requests.take(), requests.take()] == [["1"], ["2"]]


def test_those_of_a_failed_batch_go_alone(requests: Queue) -> None:
    first, second = requests.add("1"), requests.add("2")
    requests.add("3")
    assert requests.take(2) == ["1", "2"]
    for pending in (first, second):
        pending.is_retried = True
    requests.waiting.add_first([first, second])
    assert [requests.take() for _ in range(3)] == [["1"], ["2"], ["3"]]


@pytest.mark.parametrize(
    ("rows", "is_full"), [((1, 1), False), ((1, 2), True), ((1, 1, 2), True), ((5,), True)]
)
def test_a_batch_is_full_when_no_later_request_could_join(
    requests: Queue, rows: tuple[int, ...], is_full: bool
) -> None:
    for index, count in enumerate(rows):
        requests.add(str(index), rows=count)
    batch = requests.next(3)
    assert batch is not None
    assert (batch.rows <= 3 or len(batch.requests) == 1, batch.is_full) == (True, is_full)


def test_a_request_that_leaves_is_not_taken(requests: Queue) -> None:
    pending = requests.add("1")
    requests.add("2", "b")
    assert requests.waiting.depths() == {("a", "1"): 1, ("b", "1"): 1}
    assert requests.waiting.remove(pending)
    assert not requests.waiting.remove(pending)
    assert requests.take() == ["2"]
    assert len(requests.waiting) == 0


def test_a_batch_is_about_its_request_or_about_several(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(loop)
    ids = {"request_id": "one", "trace_id": "f"}
    queue.add("one", about=ids)
    assert about(queue) == ids
    queue.add("two", about={"request_id": "two"})
    queue.add("none")  # such as a measurement of a sweep
    assert about(queue) == {"request_ids": ["one", "two"]}
    queue.take()
    queue.add("none")
    queue.add("none")
    assert about(queue) == {}


def about(queue: Queue) -> Mapping[str, Any]:
    batch = queue.next()
    assert batch is not None
    return batch.about
