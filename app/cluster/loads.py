"""Loads models into the workers of a cluster: pinned ones into all, others where needed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from app.cluster.member import Member
from app.cluster.messages import WorkerLostError
from app.cluster.routing import Routing, died, relief
from app.compute.local_engine import best_state
from app.compute.residency import NOT_LOADED
from app.engine import EngineError, ModelRef, ModelState
from app.settings import Settings
from app.telemetry.logs import request_fields
from model_zoo import ZooError

log = logging.getLogger(__name__)


class Loads:
    """The models that workers have, or are to have."""

    def __init__(self, settings: Settings, routing: Routing) -> None:
        self._settings = settings
        self._routing = routing
        self._pinned: dict[str, ModelRef] = {}
        # The builds of pinned models that the start waits for, by key.
        self.awaited: dict[str, str] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End the loads that nobody waits for."""
        background = list(self._background)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)

    def state(self, model: ModelRef) -> ModelState:
        """Return the state of a model: ready as soon as one worker has it."""
        states = (member.states.get(model.key) for member in self._routing.able(None))
        return best_state([*filter(None, states), NOT_LOADED])

    async def load(self, model: ModelRef, *, is_starting: bool) -> ModelState:
        """Load a model: a pinned one into the memory of every worker, another one into one."""
        if model.pinned:
            # The start waits for models that are pinned meanwhile; see the local engine.
            if is_starting:
                self.awaited[model.key] = model.build
            self._pinned[model.key] = model
        else:
            self._release(model)
        files = self._routing.needs_files(model)
        try:
            async with asyncio.timeout(self._settings.load_timeout_s):
                first = await self._routing.member(model.key, files)
        except TimeoutError:
            raise self._routing.too_late(self._settings.load_time.in_seconds) from None
        able = self._routing.able(files)
        members = able if model.pinned else [each for each in able if each.has(model.key)]
        states = await _on_each(members or [first], lambda member: self._load_on(member, model))
        self.awaited.pop(model.key, None)
        return best_state(states)

    async def unload(self, model: ModelRef) -> None:
        """Free a model's memory in every worker."""
        self.awaited.pop(model.key, None)
        self._release(model)
        members = [each for each in self._routing.able(None) if model.key in each.states]
        await _on_each(members, lambda member: self._unload_on(member, model))

    def _release(self, model: ModelRef) -> None:
        """Pin a model no longer, nor in the workers that do not hear of it now."""
        self._pinned.pop(model.key, None)
        for member in self._routing.unreached():
            member.missed[model.key] = model

    def bring_up_to_date(self, member: Member) -> None:
        """Load the pinned models into a worker that has come up; unload what it should not have."""
        missed, member.missed = member.missed, {}
        for model in missed.values():
            if model.key not in self._pinned:
                self._run_in_background(_logged(model, self._unload_on(member, model)))
        for model in self._pinned.values():
            if self._routing.needs_files(model) is None or member.shares_home:
                self._run_in_background(_logged(model, self._load_on(member, model)))

    def relieve(self, member: Member, model: ModelRef, files: str | None) -> None:
        """Have another worker load a model whose worker is busy; requests go there when it has."""
        if model.pinned:  # all workers have it
            return
        other = relief(self._routing.able(files), member, model.key, self._settings.batch_rows)
        if other is not None:
            self._run_in_background(_logged(model, self._load_on(other, model)))

    async def _load_on(self, member: Member, model: ModelRef) -> ModelState:
        state: ModelState = await member.call(model.key, "load", request_fields(), model)
        member.note(model.key, state)
        return state

    async def _unload_on(self, member: Member, model: ModelRef) -> None:
        await member.call(model.key, "unload", request_fields(), model)
        member.note(model.key, NOT_LOADED)

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _on_each(
    members: Sequence[Member], work: Callable[[Member], Awaitable[Any]]
) -> list[Any]:
    """Return the results of all workers that are not lost meanwhile.

    Raises: the first error; WorkerDiedError if all workers are lost.
    """
    results = await asyncio.gather(*map(work, members), return_exceptions=True)
    losses = [each for each in results if isinstance(each, WorkerLostError)]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, WorkerLostError):
            raise result
    if losses and len(losses) == len(results):
        raise died(members[0], losses[0])
    return [each for each in results if not isinstance(each, BaseException)]


async def _logged(model: ModelRef, work: Awaitable[object]) -> None:
    """Wait for a load, or an unload, that nobody else waits for."""
    try:
        await work
    except (EngineError, ZooError, WorkerLostError) as error:
        log.warning("Failed to load or to unload build %s: %s", model.build, error)
    except Exception:
        log.exception("Failed to load or to unload build %s.", model.build)
