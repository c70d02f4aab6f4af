"""Runs inference for the routes of every protocol: rows to arrays, limited and counted."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.arrays import OUTPUT, PROBABILITIES
from app.engine import Answer, Engine, EngineError, QueueFullError, Rows
from app.errors import ServiceError
from app.serving.exchange import ClientGoneError, Exchange, while_connected
from app.serving.models import ModelVersion
from app.serving.networks import Network
from app.settings import Settings, variable
from app.tasks import InputKind, InputPart, ReadInputs, RowsSetting
from app.telemetry.statistics import FailureReason, Statistics
from model_zoo import InputError, Problem, ZooError, class_probabilities, spell_names


@dataclass(frozen=True, slots=True)
class Input:
    """One image, `.npy` array or JSON document, and its place in the request."""

    kind: InputKind
    pointer: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InputRows:
    """Inputs as rows, warnings about them, and the seconds spent reading them."""

    rows: Rows
    warnings: Sequence[str]
    has_images: bool
    seconds: float


class Inference:
    """Reads inputs and computes outputs; adds their times to the phases of the request."""

    def __init__(self, engine: Engine, settings: Settings, statistics: Statistics) -> None:
        self.engine = engine
        self.settings = settings
        self._statistics = statistics

    async def read(
        self,
        exchange: Exchange,
        network: Network,
        inputs: Sequence[Input],
        *,
        most_rows: RowsSetting = "max_batch",
    ) -> InputRows:
        """Return images, arrays and JSON documents as rows that fit a network.

        Raises: InputError, with the pointer of the input that does not fit.
        """
        parts = tuple(InputPart(item.kind, item.pointer) for item in inputs)
        task = ReadInputs(parts, network.input_shape, network.preprocessing, most_rows)
        reading = self.engine.read(task, [item.data for item in inputs])
        reply = await while_connected(exchange, reading)
        exchange.timings.add(reply.seconds)
        decoded = reply.result
        return InputRows(
            Rows(reply.buffers[0], decoded.rows),
            decoded.warnings,
            decoded.has_images,
            reply.seconds["decode"],
        )

    async def infer(
        self,
        exchange: Exchange,
        model: ModelVersion,
        rows: Rows,
        outputs: Sequence[str],
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """Return outputs of a model: OUTPUT, PROBABILITIES, or end points by name.

        Raises: ServiceError, EngineError, or ZooError if the rows do not fit.
        """
        network, counted_as = model.network, (model.name, str(model.version))
        exchange.name_model(model.name)
        started = time.perf_counter()
        try:
            self.check_rows(network, rows.count)
            self.check_output_bytes(output_bytes(network, rows.count, outputs))
            computed = [OUTPUT if name == PROBABILITIES else name for name in outputs]
            work = self.engine.infer(
                model.ref,
                rows,
                tuple(dict.fromkeys(computed)),
                counted_as=counted_as,
                timeout_s=timeout_s,
            )
            answer = await while_connected(exchange, work)
        except (EngineError, ZooError, ServiceError) as error:
            lost = time.perf_counter() - started
            self._statistics.failed(*counted_as, reason=_reason(error), seconds=lost)
            raise
        exchange.timings.add(answer.seconds)
        total = time.perf_counter() - started
        self._statistics.succeeded(
            *counted_as, rows=rows.count, seconds={"total": total, **answer.seconds}
        )
        if PROBABILITIES not in outputs:
            return answer
        probabilities = class_probabilities(answer.arrays[OUTPUT])
        arrays = {**answer.arrays, PROBABILITIES: probabilities}
        return Answer(arrays, answer.seconds, answer.batch_rows)

    def check_rows(self, network: Network, rows: int) -> None:
        """Raises: ServiceError if a network cannot predict at all; InputError for too many rows."""
        if network.random_layers:
            raise ServiceError("unprocessable", _random(network))
        limit = network.most_rows(self.settings)
        if rows > limit.value:
            reason = ""
            if network.batch_statistics:
                reason = (
                    f" {spell_names(network.batch_statistics)}: is_training of batch_norm is true "
                    "there, so the rows of a request are computed together."
                )
            rule = f"The request has {rows} rows; the limit is {limit}.{reason}"
            raise InputError(Problem(rule, received=rows))

    def check_output_bytes(self, size: int) -> None:
        """Raises: InputError if the arrays of an answer exceed the limit."""
        limit = self.settings.max_output_bytes
        if size > limit:
            raise InputError(
                f"The answer's arrays would have {size} bytes; the limit is {limit} "
                f"({variable('max_output_bytes')}). Ask for fewer end points or rows."
            )


def output_bytes(network: Network, rows: int, outputs: Iterable[str]) -> int:
    """Return the size of the arrays of the given outputs, as float32."""
    return 4 * rows * sum(network.output_values[name] for name in outputs)


def _random(network: Network) -> str:
    """Return why a network cannot predict."""
    if network.spec["is_training"]:
        return (
            "The build has is_training true, but predictions run in inference mode. Post the "
            "spec with is_training false; it has the same weights."
        )
    return (
        f"{spell_names(network.random_layers)}: is_training of dropout is true there, but "
        "predictions run in inference mode. Post the spec with is_training of dropout false; it "
        "has the same weights."
    )


def _reason(error: Exception) -> FailureReason:
    """Return the reason for a failure, in Triton's terms."""
    match error:
        case QueueFullError():
            return "REJECTED"
        case ClientGoneError():
            return "CANCELED"
        case EngineError():
            return "BACKEND"
        case _:
            return "OTHER"
