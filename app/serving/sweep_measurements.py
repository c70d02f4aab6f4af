"""Measures rows of sweeps: runs each network in the worker, one after the other."""

import asyncio
import logging
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from app.arrays import OUTPUT
from app.builds import Builds
from app.engine import Answer, EngineError, ModelRef, QueueFullError, Result, Rows, RuntimeName
from app.errors import ServiceError
from app.serving.comparison import Output, agreement
from app.serving.inference import Inference, Input, InputRows
from app.serving.networks import Network, network_of
from app.serving.probe import ProbeOptions, Prober
from app.serving.sweeps import Sweeps, SweepView
from app.store.errors import StoreError
from app.store.sweeps import SweepStore
from app.telemetry.timings import Timings
from model_zoo import PROBE_MODES, MeasuredDocument, Trace, ZooError, signal_gain

log = logging.getLogger(__name__)

MeasurementState = Literal["running", "done", "stopped"]
# What the batches are counted as, in the statistics of models.
_COUNTED_AS = ("sweep", "1")
# Of sweeps that were measured before.
_REMEMBERED = 100
# A queue that is full is asked again so often.
_TRIES = 30


@dataclass(slots=True)
class Measurement:
    """A measurement of rows in progress, or the last one of a sweep."""

    rows: Sequence[int]
    runs: int
    batch_rows: int
    seed: int
    engine: RuntimeName | None
    inputs: Sequence[Input]
    probes: bool = False
    done: int = 0
    state: MeasurementState = "running"
    reason: str | None = None
    task: asyncio.Task[None] | None = None
    base: Output | None = None
    base_failure: str | None = None
    # The rows read last, and what determines how inputs are read.
    read: tuple[tuple[Any, str], InputRows] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What a network answered, the median of the seconds that it took, and on which engine."""

    output: Output
    seconds: float
    engine: RuntimeName | None


class SweepMeasurements:
    """The measurements, of which one runs at a time: the device has one at a time to give."""

    def __init__(
        self,
        sweeps: Sweeps,
        store: SweepStore,
        builds: Builds,
        inference: Inference,
        prober: Prober,
    ) -> None:
        self._sweeps = sweeps
        self._store = store
        self._builds = builds
        self._inference = inference
        self._prober = prober
        self._measurements: dict[str, Measurement] = {}

    def start(self, view: SweepView, measurement: Measurement) -> None:
        """Measure rows of a sweep in the background.

        Raises: QueueFullError while another measurement runs.
        """
        if any(each.state == "running" for each in self._measurements.values()):
            raise QueueFullError("Another measurement of a sweep runs; only one runs at a time.")
        self._measurements = {
            **dict(list(self._measurements.items())[-_REMEMBERED:]),
            view.stored.id: measurement,
        }
        measurement.task = asyncio.create_task(self._run(view, measurement))

    def get(self, sweep_id: str) -> Measurement | None:
        """Return the measurement of a sweep that runs, or that was the last."""
        return self._measurements.get(sweep_id)

    async def cancel(self, sweep_id: str) -> None:
        """End the measurement of a sweep, if one runs; what it has measured stays."""
        measurement = self._measurements.get(sweep_id)
        if measurement is not None and measurement.task is not None:
            measurement.task.cancel()
            await asyncio.gather(measurement.task, return_exceptions=True)
            if measurement.state == "running":  # a task that is cancelled at once never begins
                measurement.state, measurement.reason = "stopped", "It was cancelled."

    async def close(self) -> None:
        """End the measurement that runs."""
        for sweep_id in list(self._measurements):
            await self.cancel(sweep_id)

    async def _run(self, view: SweepView, measurement: Measurement) -> None:
        try:
            await self._measure_base(view, measurement)
            for row in measurement.rows:
                measured = await self._row(view, row, measurement)
                await self._store.write(self._store.measure, view.stored.id, row, measured)
                measurement.done += 1
            measurement.state = "done"
        except asyncio.CancelledError:
            measurement.state, measurement.reason = "stopped", "It was cancelled."
            raise
        except StoreError as error:
            measurement.state, measurement.reason = "stopped", str(error)
        except Exception:
            measurement.state, measurement.reason = "stopped", "internal error"
            log.exception("The measurement of sweep %s stopped.", view.stored.id)

    async def _measure_base(self, view: SweepView, measurement: Measurement) -> None:
        """Compute the outputs of the sweep's base, with which those of the rows are compared."""
        spec = view.sweep.spaces[0].base
        try:
            _, network = await asyncio.to_thread(self._network, view, spec)
            measurement.base = (await self._outputs(network, measurement, runs=1)).output
        except (EngineError, ServiceError, ZooError) as error:
            measurement.base_failure = f"The base of the sweep has no outputs: {error}"

    async def _row(self, view: SweepView, row: int, measurement: Measurement) -> MeasuredDocument:
        try:
            traced, network = await asyncio.to_thread(self._network, view, view.sweep.spec(row))
            outputs = await self._outputs(network, measurement, measurement.runs)
            signal = await self._signal(traced, network, measurement)
        except (EngineError, ServiceError, ZooError) as error:
            return {"failure": str(error)}
        array = outputs.output.array
        measured: MeasuredDocument = {
            "engine": outputs.engine,
            "batch_rows": len(array),
            "latency_s": outputs.seconds,
            "output_mean": _finite(array.mean(dtype=np.float64)),
            "output_std": _finite(array.std(dtype=np.float64)),
        }
        if measurement.base is not None:
            agreed = await asyncio.to_thread(agreement, measurement.base, outputs.output)
            measured = {**measured, **agreed}
        return {**measured, **signal}

    async def _signal(
        self, traced: Trace, network: Network, measurement: Measurement
    ) -> MeasuredDocument:
        """Return what a probe says of a network, if that is asked for."""
        if not measurement.probes:
            return {}
        options = ProbeOptions(None, measurement.seed, gradients=False, modes=PROBE_MODES)
        inputs = measurement.read[1] if measurement.read and measurement.inputs else None
        probe, _ = await self._patiently(
            lambda: self._prober.measure(_Nobody(), network, traced, options, inputs)
        )
        gains = {curve["mode"]: signal_gain(curve) for curve in probe["modes"]}
        return {
            "signal_gain": gains["inference"],
            "training_signal_gain": gains["training"],
            "verdicts": [
                f"{each['mode']}: {each['verdict']} from {each['layer']}"
                for each in probe["verdicts"]
            ],
        }

    def _network(self, view: SweepView, spec: Any) -> tuple[Trace, Network]:
        traced = self._builds.trace(spec, view.sweep.scopes)
        normalized = traced.spec.normalized()
        sources = self._builds.sources.specs_of_sources(normalized)
        return traced, network_of(traced.spec.digest, traced, normalized, sources)

    def _ref(self, network: Network, measurement: Measurement) -> ModelRef:
        settings = self._inference.settings
        return network.ref(measurement.engine or settings.engine, settings.precision)

    async def _outputs(self, network: Network, measurement: Measurement, runs: int) -> "_Outputs":
        """Run a network, and free it again unless somebody else has it in memory."""
        rows = (await self._read(network, measurement)).rows
        self._inference.check_rows(network, rows.count)
        engine, ref = self._inference.engine, self._ref(network, measurement)
        was_loaded = engine.state(ref).state == "ready"
        try:
            answers = [await self._infer(ref, rows) for _ in range(runs)]
            used = engine.state(ref).engine
        finally:
            if not was_loaded:
                await engine.unload(ref)
        seconds = statistics.median(answer.seconds["compute"] for answer in answers)
        return _Outputs(Output(answers[0].arrays[OUTPUT], network.classes), seconds, used)

    async def _infer(self, ref: ModelRef, rows: Rows) -> Answer:
        engine = self._inference.engine
        return await self._patiently(
            lambda: engine.infer(ref, rows, (OUTPUT,), counted_as=_COUNTED_AS)
        )

    async def _patiently(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the worker does, after the requests of others where these fill its queue."""
        for _ in range(_TRIES):
            try:
                return await work()
            except QueueFullError as error:
                await asyncio.sleep(error.retry_after_s)
        raise QueueFullError("The queue of the worker stayed full.")

    async def _read(self, network: Network, measurement: Measurement) -> InputRows:
        """Return the inputs as rows of a network; without any, normal noise."""
        group = network.input_shape, network.preprocessing
        if measurement.read is None or measurement.read[0] != group:
            measurement.read = None  # freed first, so that memory never holds two
            if measurement.inputs:
                read = await self._inference.read(_Nobody(), network, measurement.inputs)
            else:
                read = await asyncio.to_thread(
                    _noise, network, measurement.batch_rows, measurement.seed
                )
            measurement.read = group, read
        return measurement.read[1]


def _noise(network: Network, count: int, seed: int) -> InputRows:
    shape = (count, *network.input_shape)
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return InputRows(Rows(noise.tobytes(), count), (), has_images=False, seconds=0.0)


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


class _Nobody:
    """The exchange of work that no client waits for."""

    def __init__(self) -> None:
        self.timings = Timings()

    def name_model(self, name: str) -> None:
        pass

    async def until_disconnected(self) -> None:
        await asyncio.Event().wait()
