"""Loads and unloads that no request waits for, such as those of pinned models at start-up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.engine import Engine, EngineError, ModelRef, ModelState
from app.store.errors import StoreError
from model_zoo import ZooError

log = logging.getLogger(__name__)

# After the store did not give the weights of a model.
_AGAIN_S = 5.0


class BackgroundLoads:
    """Loads models into the engine's memory, and unloads them, in the background."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: dict[asyncio.Task[None], tuple[str, ModelRef]] = {}

    def load(self, model: ModelRef) -> None:
        """Start to load a model; if that fails, the engine remembers the reason."""
        self._start("load", model, self._engine.load)

    def unload(self, model: ModelRef) -> None:
        """Start to unload a model."""
        self._start("unload", model, self._engine.unload)

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

    def _start(
        self, work: str, model: ModelRef, begin: Callable[[ModelRef], Awaitable[object]]
    ) -> None:
        task = asyncio.create_task(_logged(work, model, begin))
        self._tasks[task] = work, model
        task.add_done_callback(self._tasks.pop)


async def _logged(
    work: str, model: ModelRef, begin: Callable[[ModelRef], Awaitable[object]]
) -> None:
    try:
        while True:
            try:
                await begin(model)
            except StoreError as error:
                log.warning("Build %s has to wait for its weights: %s", model.build, error)
                await asyncio.sleep(_AGAIN_S)
            else:
                return
    except (EngineError, ZooError) as error:
        log.warning("Failed to %s build %s: %s", work, model.build, error)
    except Exception:
        log.exception("Failed to %s build %s.", work, model.build)
