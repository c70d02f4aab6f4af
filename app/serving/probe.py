"""Probes a build: what a batch is at each layer, and what is wrong with it."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from app.builds import Builds
from app.errors import ServiceError
from app.serving.exchange import Exchange
from app.serving.inference import InputRows
from app.serving.measuring_turn import MeasuringTurn
from app.serving.models import ModelVersion
from app.serving.networks import Network
from app.settings import Limit, Settings, variable
from app.tasks import MeasureSignal, Specs
from model_zoo import (
    PROBE_ROWS,
    InputError,
    OptionError,
    ProbeDocument,
    ProbeMode,
    Problem,
    Trace,
    probe_bytes,
)

# The deadline, as a share of the time that a request may take; the rest is for the answer.
_SHARE = 0.75


class ProbeBody(ProbeDocument):
    """A probe: what is wrong first, then the curve of each mode; and warnings about the input."""

    warnings: Annotated[list[str], Field(description="About the input.")]


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What is probed; `rows` are those of noise, None for as many as fit, and 8 at most."""

    rows: int | None
    seed: int
    gradients: bool
    modes: tuple[ProbeMode, ...]


class Prober:
    """Probes builds, and keeps what was found with each."""

    def __init__(
        self,
        settings: Settings,
        builds: Builds,
        turn: MeasuringTurn,
    ) -> None:
        self._settings = settings
        self._builds = builds
        self._turn = turn

    def most_rows(self, traced: Trace, options: ProbeOptions) -> Limit[int]:
        """Return the most rows that a probe of a build may have.

        Raises: ServiceError (unprocessable) if one row takes too much memory; BuildError if the
        network refuses a mode.
        """
        needed = probe_bytes(traced, options.modes, gradients=options.gradients)
        limit = Limit(self._settings.max_activation_bytes, variable("max_activation_bytes"))
        fitting = limit.value // max(1, needed)
        if not fitting:
            raise ServiceError(
                "unprocessable",
                f"The activations that a probe of one row keeps have {needed} bytes; the limit is "
                f"{limit}." + (" Ask for no gradients." if options.gradients else ""),
            )
        if fitting < self._settings.max_batch:
            return Limit(fitting, limit.setting)
        return Limit(self._settings.max_batch, variable("max_batch"))

    async def probe(
        self,
        exchange: Exchange,
        model: ModelVersion,
        traced: Trace,
        options: ProbeOptions,
        inputs: InputRows | None,
    ) -> ProbeBody:
        """Return the probe of a build on inputs, or on noise without any; keep what it found.

        Raises: as `measure`.
        """
        document, warnings = await self.measure(exchange, model.network, traced, options, inputs)
        with exchange.timings.measure("store"):
            await self._builds.keep_probe(model.build, document)
        return {**document, "warnings": warnings}

    async def measure(
        self,
        exchange: Exchange,
        network: Network,
        traced: Trace,
        options: ProbeOptions,
        inputs: InputRows | None,
    ) -> tuple[ProbeDocument, list[str]]:
        """Return the probe of a network, which need not be kept as a build, and warnings about it.

        Raises: InputError for too many rows, ServiceError as `most_rows`, QueueFullError while
        something else is measured; EngineError; ZooError if it cannot be computed.
        """
        most = await asyncio.to_thread(self.most_rows, traced, options)
        warnings = list(inputs.warnings) if inputs else []
        if inputs is not None:
            rows = inputs.rows.count
        elif options.rows is not None:
            rows = options.rows
        else:
            rows = min(PROBE_ROWS, most.value)
            if rows < PROBE_ROWS:
                warnings.append(
                    f"Of the usual {PROBE_ROWS} rows, a probe of this build takes {rows} at most "
                    f"({most.setting})."
                )
        if rows > most.value:
            rule = f"a probe of this build takes {most.value} at most ({most.setting})"
            if inputs is None:
                raise OptionError("rows", Problem(f"rows: {rule}.", received=rows))
            raise InputError(Problem(f"The request has {rows} rows; {rule}.", received=rows))
        task = MeasureSignal(
            specs=Specs.of(network.spec, network.source_specs),
            batch=bytes(inputs.rows.data) if inputs else None,
            are_images=inputs.has_images if inputs else False,
            rows=rows,
            seed=options.seed,
            gradients=options.gradients,
            modes=options.modes,
            seconds_left=_SHARE * self._settings.request_timeout_s,
        )
        reply = await self._turn.run(exchange, task)
        document: ProbeDocument = await asyncio.to_thread(json.loads, reply.result.document)
        return document, warnings
