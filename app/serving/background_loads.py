"""Loads and unloads that no request waits for, such as those of pinned models at start-up."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from app.engine import Engine, EngineError, ModelRef, ModelState
from model_zoo import ZooError

log = logging.getLogger(__name__)


class BackgroundLoads:
    """Loads models into the engine's memory, and unloads them, in the background."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: dict[asyncio.Task[None], tuple[str, ModelRef]] = {}

    def load(self, model: ModelRef) -> None:
        """Start to load a model; if that fails, the engine remembers the reason."""
        self._start("load", model, self._engine.load(model))

    def unload(self, model: ModelRef) -> None:
        """Start to unload a model."""
        self._start("unload", model, self._engine.unload(model))

    def state(self, model: ModelRef) -> ModelState:
        """Return the state of a model without waiting; `load` makes it loading at once."""
        state = self._engine.state(model)
        is_loading = any(
            work == "load" and ref.key == model.key for work, ref in self._tasks.values()
        )
        if state.state == "unavailable" and is_loading:
            return ModelState("loading", pinned=model.pinned)
        return state

    async def close(self) -> None:
        """Cancel every load and unload in progress."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: str, model: ModelRef, coroutine: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(_logged(work, model, coroutine))
        self._tasks[task] = work, model
        task.add_done_callback(self._tasks.pop)


async def _logged(work: str, model: ModelRef, coroutine: Coroutine[Any, Any, object]) -> None:
    try:
        await coroutine
    except (EngineError, ZooError) as error:
        log.warning("Failed to %s build %s: %s", work, model.build, error)
    except Exception:
        log.exception("Failed to %s build %s.", work, model.build)
