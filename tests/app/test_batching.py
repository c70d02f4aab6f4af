"""Which of the waiting requests are computed together."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.compute.arena import Block
from app.compute.batching import Pending, Waiting
from app.compute.engine import ModelRef

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
        self.waiting = Waiting()
        self.names: dict[Pending, str] = {}

    def add(self, name: str, model: str = "a", rows: int = 1, **facts: Any) -> Pending:
        spec = {"is_training": facts.pop("is_training", False)}
        pending = Pending(
            ModelRef(model, spec, {}),
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

    def take(self, limits: dict[str, int] | int = 8, **options: Any) -> list[str]:
        def limit_of(model: ModelRef) -> int:
            return limits if isinstance(limits, int) else limits.get(model.build, 0)

        return [self.names[p] for p in self.waiting.take(limit_of, **options)]


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


def test_builds_in_training_mode_are_not_batched(requests: Queue) -> None:
    requests.add("1", is_training=True)
    requests.add("2", is_training=True)
    assert [requests.take(), requests.take()] == [["1"], ["2"]]


def test_those_of_a_failed_batch_go_alone(requests: Queue) -> None:
    first, second = requests.add("1"), requests.add("2")
    requests.add("3")
    batch = requests.waiting.take(lambda model: 2)
    assert batch == [first, second]
    for pending in batch:
        pending.alone = True
    requests.waiting.add_first(batch)
    assert [requests.take() for _ in range(3)] == [["1"], ["2"], ["3"]]


def test_only_full_batches_are_sent_ahead(requests: Queue) -> None:
    requests.add("1")
    requests.add("2")
    assert requests.take(3, only_full=True) == []
    requests.add("3", "b", rows=3)
    assert requests.take(3, only_full=True) == ["3"]
    requests.add("4", rows=2)  # would not fit: the batch before it is as full as it gets
    assert requests.take(3, only_full=True) == ["1", "2"]
    assert requests.take(3, only_full=True) == []


def test_a_delay_holds_a_batch_that_can_still_grow(requests: Queue) -> None:
    requests.add("1", arrived=10.0)
    requests.add("2", arrived=11.0)
    assert requests.take(8, arrived_before=9.5) == []
    assert requests.take(2, arrived_before=9.5) == ["1", "2"]
    requests.add("3", arrived=12.0)
    assert requests.take(8, arrived_before=12.5) == ["3"]


def test_a_request_that_leaves_is_not_taken(requests: Queue) -> None:
    pending = requests.add("1")
    requests.add("2", "b")
    assert requests.waiting.depths() == {("a", "1"): 1, ("b", "1"): 1}
    assert requests.waiting.remove(pending)
    assert not requests.waiting.remove(pending)
    assert requests.take() == ["2"]
    assert len(requests.waiting) == 0
