"""Loads that nobody waits for: of models that were just named, and of those pinned at the start."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from app.engine import Engine, EngineError, ModelRef
from app.model_state import ModelState
from model_zoo import ZooError

log = logging.getLogger(__name__)


class BackgroundLoads:
    """What is brought into the engine's memory, or out of it, in the background."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: dict[asyncio.Task[None], tuple[str, ModelRef]] = {}

    def load(self, model: ModelRef) -> None:
        """Begin to load a model; the engine keeps why, where that fails."""
        self._keep("load", model, self._engine.load(model))

    def unload(self, model: ModelRef) -> None:
        """Begin to give a model's memory back."""
        self._keep("unload", model, self._engine.unload(model))

    def state(self, model: ModelRef) -> ModelState:
        """Return where a model stands, at once: loading from the moment that it was asked for."""
        state = self._engine.state(model)
        is_coming = any(
            work == "load" and ref.key == model.key for work, ref in self._tasks.values()
        )
        if state.state == "unavailable" and is_coming:
            return ModelState("loading", pinned=model.pinned)
        return state

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, work: str, model: ModelRef, doing: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(_logged(work, model, doing))
        self._tasks[task] = work, model
        task.add_done_callback(self._tasks.pop)


async def _logged(work: str, model: ModelRef, doing: Coroutine[Any, Any, object]) -> None:
    try:
        await doing
    except (EngineError, ZooError) as error:
        log.warning("The %s of build %s failed: %s", work, model.build, error)
    except Exception:
        log.exception("The %s of build %s failed.", work, model.build)
