"""Versions in int8: keeps the rows that calibrate them, and tries whether they gain anything."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from app.engine import Engine, ModelRef, ModelState
from app.errors import ServiceError
from app.serving.background_loads import BackgroundLoads
from app.serving.exchange import Exchange, while_connected
from app.serving.inference import Inference, Input
from app.serving.model_registry import ModelRequest
from app.serving.networks import Network
from app.settings import Settings, variable
from app.store.calibrations import Calibration, CalibrationFiles
from app.store.models import ModelStore, VersionRecord
from app.store.threads import on_files
from app.wording import counted
from model_zoo import InputError, Problem, ZooError, spell_names

# Twelve calibrate, and four are held out.
MIN_ROWS = 16
_WHAT_TO_SEND = (
    "send a form with this JSON in the field model, and pictures or .npy arrays such as the "
    f"network will see in fields called calibration, {MIN_ROWS} rows or more"
)


class Calibrations:
    """Keeps calibrations while versions have them."""

    def __init__(
        self,
        settings: Settings,
        files: CalibrationFiles,
        store: ModelStore,
        inference: Inference,
        loads: BackgroundLoads,
    ) -> None:
        self._settings = settings
        self._files = files
        self._store = store
        self._inference = inference
        self._engine: Engine = inference.engine
        self._loads = loads

    @asynccontextmanager
    async def of_request(
        self,
        exchange: Exchange,
        name: str,
        request: ModelRequest,
        network: Network,
        inputs: Sequence[Input],
        drop: Callable[[], None],
    ) -> AsyncIterator[tuple[Calibration | None, Sequence[str]]]:
        """Give what calibrates a version that is about to be stored, and warnings about it.

        Without rows, it is the calibration of the version that the request is about. A new one is
        tried first; if no version has it afterwards, nothing of it is left. When the rows are on
        the disk, `drop` frees the inputs: to try them takes long.

        Raises: ZooError if the request cannot be in int8 as it is; InputError for rows that do not
        fit; ServiceError if int8 gains nothing or there is no room; StoreError, EngineError.
        """
        _check_request(request, inputs, self._settings)
        if request.precision != "int8":
            yield None, ()
        elif not inputs:
            calibration = await asyncio.to_thread(self._known, name, request)
            self._files.hold(calibration.digest)
            try:
                # The version may have been deleted just before.
                await asyncio.to_thread(self._known, name, request)
                yield calibration, ()
            finally:
                await on_files(self._files.release, calibration.digest)
        else:
            self._check_network(network)
            calibration, warnings = await self._keep(exchange, network, inputs)
            ref = await asyncio.to_thread(self._ref, network, calibration)
            try:
                drop()
                _check_gain(await while_connected(exchange, self._engine.load(ref)))
                yield calibration, warnings
            finally:
                if not await asyncio.to_thread(self._alike, network, calibration):
                    self._loads.unload(ref)
                await on_files(self._files.release, calibration.digest)

    async def forget(self, removed: Iterable[VersionRecord]) -> None:
        """Remove the calibrations of removed versions, unless others have them.

        Raises: StoreError.
        """
        for record in removed:
            if record.calibration is not None:
                await on_files(self._files.remove_unused, record.calibration.digest)

    def _known(self, name: str, request: ModelRequest) -> Calibration:
        """Return the calibration of the version that a request names, or of the latest."""
        for record in self._store.versions(name):
            if request.version in (None, record.version):
                if record.build == request.build and record.calibration is not None:
                    return record.calibration
                break
        raise ZooError(
            Problem(
                f"precision int8 is calibrated on rows of yours: {_WHAT_TO_SEND}.",
                "/precision",
                "int8",
            )
        )

    def _check_network(self, network: Network) -> None:
        if network.batch_statistics:
            raise ServiceError(
                "unprocessable",
                f"{spell_names(network.batch_statistics)}: is_training of batch_norm is true "
                "there, and statistics of the batch have no form in int8. Use float32.",
            )
        limit, needed = self._settings.max_models_bytes, network.quantizing_bytes
        if needed > limit:
            raise ServiceError(
                "over-budget",
                f"To compare this network in int8 with float32 takes {needed} bytes of memory; the "
                f"limit is {limit} ({variable('max_models_bytes')}). Use float32.",
            )

    async def _keep(
        self, exchange: Exchange, network: Network, inputs: Sequence[Input]
    ) -> tuple[Calibration, Sequence[str]]:
        """Store the rows of inputs, read one after the other; hold them until they are released."""
        self._engine.check_admission()
        warnings: dict[str, None] = {}
        most, size = self._settings.max_calibration_rows, 4 * math.prod(network.input_shape)
        room = self._settings.max_calibrations_bytes - await on_files(self._files.stored_bytes)
        with self._files.writing(network.input_shape) as writer:
            for each in inputs:
                read = await self._inference.read(
                    exchange, network, [each], most_rows="max_calibration_rows"
                )
                warnings |= dict.fromkeys(read.warnings)
                count = writer.rows + read.rows.count
                if count > most:
                    rule = (
                        f"The form has {count} calibration rows or more; the limit is {most} "
                        f"({variable('max_calibration_rows')})."
                    )
                    raise InputError(Problem(rule, each.pointer, count))
                if count * size > room:
                    raise ServiceError(
                        "store-full",
                        f"{counted(count, 'calibration row')} of {size} bytes do not fit beside "
                        f"those that are stored; the limit is "
                        f"{self._settings.max_calibrations_bytes} bytes "
                        f"({variable('max_calibrations_bytes')}). DELETE /v1/models/{{name}} makes "
                        "room.",
                    )
                await asyncio.to_thread(writer.add, read.rows.data, read.rows.count)
            if writer.rows < MIN_ROWS:
                rule = (
                    f"The form has {counted(writer.rows, 'calibration row')}; precision int8 needs "
                    f"{MIN_ROWS} or more, of which every fourth is held out to measure what it "
                    "changes."
                )
                raise InputError(Problem(rule, "/calibration", writer.rows))
            if writer.repeated:
                warnings[
                    f"{writer.repeated} of the {writer.rows} calibration rows are equal to others. "
                    "What is measured says little where held-out rows also calibrate."
                ] = None
            return await on_files(self._files.keep, writer), [*warnings]

    def _ref(self, network: Network, calibration: Calibration) -> ModelRef:
        """Return the version to try; another one that runs alike may be pinned."""
        pinned = any(other.pinned for other in self._alike(network, calibration))
        return network.ref("onnxruntime", "int8", calibration.digest, pinned=pinned)

    def _alike(self, network: Network, calibration: Calibration) -> list[VersionRecord]:
        """Return the stored versions of a build with a calibration."""
        versions = self._store.using(network.build)
        return [each for each in versions if each.calibration == calibration]


def _check_request(request: ModelRequest, inputs: Sequence[Input], settings: Settings) -> None:
    """Raises: ZooError if what a request asks for does not go together."""
    if request.precision != "int8":
        if inputs:
            rule = (
                "The form has calibration rows, which only precision int8 uses: send precision "
                "int8 in the field model, or leave them out."
            )
            raise ZooError(Problem(rule, "/precision", request.precision))
    elif (request.engine or settings.engine) == "tensorflow":
        engine = "engine tensorflow" if request.engine else f"{variable('engine')}=tensorflow"
        rule = f"precision int8 needs ONNX Runtime, and not {engine}: send engine onnxruntime."
        raise ZooError(Problem(rule, "/engine", request.engine))


def _check_gain(state: ModelState) -> None:
    """Raises: ServiceError if a network in int8 is not faster than it was in float32."""
    measured = state.quantization
    if measured is not None and not measured.gain > 1:
        raise ServiceError(
            "unprocessable",
            f"precision int8 gains nothing here: a row takes {1000 * measured.seconds:.3g} ms in "
            f"int8 and {1000 * measured.float32_seconds:.3g} ms in float32. Use float32.",
        )
