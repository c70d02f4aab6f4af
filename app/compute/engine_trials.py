"""Tries TensorFlow, while a worker is idle, for networks that it may compute faster.

ONNX Runtime answers the first requests. When nothing has been computed for a while, TensorFlow's
process loads the network too, both are measured in turns, and the faster one computes from then on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from app.arrays import AGREEMENT, relative_difference
from app.compute.child_process import ProcessGoneError
from app.compute.engine_process import Processes
from app.compute.messages import Load, Measure, Unload, WarmUp
from app.compute.model_loads import Changes, ModelLoads
from app.compute.residency import ResidentModel
from app.engine import EngineError, ModelState, Reply, Result, RuntimeName, WorkerTask
from app.settings import Settings
from app.store.errors import StoreError
from app.tasks import Specs
from model_zoo import ZooError

log = logging.getLogger(__name__)

# For which nothing must have been computed before a trial begins.
_QUIET_SECONDS = 2.0
_ROUNDS = 3


class EngineTrials:
    """The trials of a worker, one at a time; each needs memory for the network once more.

    `batches_if_idle` returns how many batches have been sent so far, and None while any work is in
    progress.
    """

    def __init__(
        self,
        settings: Settings,
        processes: Processes,
        loads: ModelLoads,
        changes: Changes,
        *,
        batches_if_idle: Callable[[], int | None],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._processes = processes
        self._loads = loads
        self._residency = loads.residency
        self._changes = changes
        self._batches_if_idle = batches_if_idle
        self._wake = wake
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def begin(self) -> None:
        """Try the next network that is worth it, if there is one and no other trial."""
        if self._task is None and not self._is_closed:
            model = next(filter(self._is_worth_it, self._residency.models.values()), None)
            if model is not None:
                self._task = asyncio.create_task(self._try(model))

    async def close(self) -> None:
        """End the trial; no other begins."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _is_worth_it(self, model: ResidentModel) -> bool:
        return (
            self._processes.may_try_tensorflow(model.ref)
            and self._residency.find(model.ref) is model
            and model.state.state == "ready"
            and bool(model.state.warmed)
            and self._residency.bytes + model.size_bytes <= self._residency.max_bytes
        )

    async def _try(self, model: ResidentModel) -> None:
        try:
            await self._quiet()
            if self._is_worth_it(model):
                with self._processes.tensorflow.loading():
                    await self._compare(model)
        finally:
            self._task = None
            self._wake()

    async def _quiet(self) -> None:
        """Wait until nothing has been computed for a while."""
        while True:
            before = self._batches_if_idle()
            await asyncio.sleep(_QUIET_SECONDS)
            if before is not None and self._batches_if_idle() == before:
                return

    async def _compare(self, model: ResidentModel) -> None:
        """Load a model in TensorFlow's process too, and keep the faster of both."""
        trial = replace(model, process=self._processes.tensorflow, state=ModelState("loading"))
        trial.in_use = 0
        slot = f"{model.ref.key} on trial"
        self._residency.models[slot] = trial
        better: RuntimeName = "onnxruntime"
        try:
            try:
                better = await self._measure(model, trial)
            except (EngineError, ZooError, StoreError, ProcessGoneError) as error:
                log.warning("Build %s was not tried by TensorFlow: %s", model.ref.build, error)
            are_there = self._residency.models.get(slot) is trial  # its process has not ended
            are_there &= self._residency.find(model.ref) is model and model.state.state == "ready"
            if are_there and better == "tensorflow":
                self._switch(model, trial, slot)
            await self._unload(self._residency.models.get(slot, trial))
        finally:
            self._residency.models.pop(slot, None)
            # Only now: a request would have TensorFlow load it again before the trial is unloaded.
            self._processes.decide(model.ref, better)

    async def _measure(self, model: ResidentModel, trial: ResidentModel) -> RuntimeName:
        """Return the engine that is to compute, and put what was measured into both states."""
        ref = model.ref
        specs = Specs.of(ref.spec, ref.source_specs)
        async with self._loads.local(ref):
            await self._call(trial, Load(ref.key, specs, "tensorflow", ref.precision, None))
        warmed = (await self._call(trial, WarmUp(ref.key))).result
        measured: dict[RuntimeName, float] = {}
        outputs = {}
        for _ in range(_ROUNDS):  # in turns, so that what else runs slows both
            sides: tuple[tuple[RuntimeName, ResidentModel], ...]
            sides = (("onnxruntime", model), ("tensorflow", trial))
            for engine, each in sides:
                reply = await self._call(each, Measure(ref.key))
                measured[engine] = min(reply.result, measured.get(engine, reply.result))
                outputs[engine] = np.frombuffer(reply.buffers[0], np.float32)
        difference = relative_difference(outputs["onnxruntime"], outputs["tensorflow"])
        best = min(measured, key=lambda name: measured[name])
        if not difference <= AGREEMENT:
            best = "tensorflow"
            log.warning("Build %s: the engines differ by %.2g.", ref.build, difference)
        model.state = replace(model.state, measured=measured, difference=difference)
        self._residency.known[ref.key] = model.state
        trial.state = replace(warmed, state="loading", measured=measured, difference=difference)
        trial.size_bytes = warmed.size_bytes
        return best

    def _switch(self, model: ResidentModel, trial: ResidentModel, slot: str) -> None:
        """Send batches to the trial from now on; the other one is to be unloaded."""
        trial.ref = model.ref
        trial.state = replace(trial.state, state="ready", pinned=model.ref.pinned)
        trial.ready_at = time.perf_counter()
        self._processes.decide(model.ref, "tensorflow")
        self._residency.models[model.ref.key] = trial
        self._residency.known[model.ref.key] = trial.state
        self._residency.models[slot] = model
        self._residency.begin_unload(model)

    async def _unload(self, model: ResidentModel) -> None:
        """Free the memory of the slower one, once the batches that use it are done."""
        await self._changes.until(lambda: not model.in_use)
        try:
            await self._call(model, Unload(model.ref.key))
        except ProcessGoneError:
            return  # and all its models with it
        except (EngineError, ZooError) as error:
            log.error("Build %s was not unloaded: %s", model.ref.build, error)

    async def _call(self, model: ResidentModel, task: WorkerTask[Result]) -> Reply[Result]:
        """Do a task in a model's process; other loads come between two of them."""
        await model.process.supervisor.up()  # other processes can load while this one starts
        async with self._loads.turn:
            connection = await model.process.supervisor.up()
            return await connection.call_within(task, self._settings.load_time)
