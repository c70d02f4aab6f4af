"""What is measured goes on when its client has gone, and how it ends is nobody's error then."""

import asyncio
import gc
from typing import Any, cast

import pytest

from app.engine import Engine
from app.serving.measuring_turn import MeasuringTurn
from app.telemetry.timings import Timings
from model_zoo import ZooError


class Exchange:
    """A request whose client stays connected."""

    def __init__(self) -> None:
        self.timings = Timings()

    def name_model(self, name: str) -> None:
        raise NotImplementedError

    async def until_disconnected(self) -> None:
        await asyncio.Event().wait()


class FailingEngine:
    """Fails a task when it is told to."""

    def __init__(self) -> None:
        self.began, self.fail = asyncio.Event(), asyncio.Event()

    async def run(self, task: Any) -> Any:
        self.began.set()
        await self.fail.wait()
        raise ZooError("too late")


def test_a_measurement_that_fails_after_its_client_has_gone_is_no_error() -> None:
    async def run() -> None:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        engine = FailingEngine()
        turn = MeasuringTurn(cast(Engine, engine))
        request = asyncio.create_task(turn.run(Exchange(), cast(Any, None)))
        await engine.began.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        engine.fail.set()
        while turn._lock.locked():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        assert errors == []

    asyncio.run(run())
