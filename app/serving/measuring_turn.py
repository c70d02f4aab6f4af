"""The turn of what is measured in the worker: one at a time."""

import asyncio

from app.engine import Engine, QueueFullError, Reply, Result, WorkerTask
from app.serving.exchange import Exchange, while_connected


class MeasuringTurn:
    """Runs profiles and probes one at a time: two would disturb each other, and need the memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = asyncio.Lock()

    async def run(self, exchange: Exchange, task: WorkerTask[Result]) -> Reply[Result]:
        """Do a task; its seconds are added to the phases of the request.

        Raises: QueueFullError while another one is measured; EngineError; ZooError.
        """
        if self._lock.locked():
            raise QueueFullError(
                "Another profile or probe is being measured; only one runs at a time."
            )
        # Shielded: if the client disconnects, the worker still finishes the task, and the lock must
        # be held until then.
        measuring = asyncio.create_task(self._measure(task))
        # Nobody may be left to learn how it ended.
        measuring.add_done_callback(lambda done: done.cancelled() or done.exception())
        reply = await while_connected(exchange, asyncio.shield(measuring))
        exchange.timings.add(reply.seconds)
        return reply

    async def _measure(self, task: WorkerTask[Result]) -> Reply[Result]:
        async with self._lock:
            return await self._engine.run(task)
