"""Inference as every protocol's routes ask for it: from rows to arrays, counted and limited."""

import asyncio
import math
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from app.compute.engine import Answer, EngineError, QueueFullError, Rows
from app.problems import ServiceError
from app.protocols.names import OUTPUT, PROBABILITIES
from app.serving.servable import Servable
from app.serving.served import Served
from app.serving.statistics import FailureReason
from app.settings import Settings, variable
from model_zoo import InputError, Problem, ZooError, class_probabilities

if TYPE_CHECKING:
    from app.api.inputs import Input
    from app.api.services import Services

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ReadInputs:
    """Inputs as rows, and what is to be said about them."""

    rows: Rows
    warnings: Sequence[str]
    has_images: bool
    seconds: float


async def read_inputs(
    request: Request, services: "Services", servable: Servable, inputs: "Sequence[Input]"
) -> ReadInputs:
    """Return images, arrays and JSON documents as rows that fit a network.

    Raises: InputError, with the pointer of the input that does not fit.
    """
    arguments = {
        "inputs": [{"kind": item.kind, "pointer": item.pointer} for item in inputs],
        "shape": servable.input_shape,
        "preprocessing": servable.preprocessing,
    }
    reading = services.engine.read("inputs", arguments, [item.data for item in inputs])
    reply = await while_connected(request, reading)
    result = reply.result
    return ReadInputs(
        Rows(reply.buffers[0], result["rows"]),
        result["warnings"],
        result["has_images"],
        reply.seconds["decode"],
    )


async def infer(
    request: Request,
    services: "Services",
    served: Served,
    rows: Rows,
    outputs: Sequence[str],
    *,
    timeout_s: float | None = None,
) -> Answer:
    """Compute outputs of a model: OUTPUT, PROBABILITIES, or end points by name.

    Raises: ServiceError, EngineError, or a ZooError for what does not fit.
    """
    servable, label = served.servable, (served.name, str(served.version))
    request.state.model = served.name  # for the log
    started = time.perf_counter()
    statistics = services.statistics
    try:
        check_rows(servable, rows.count, services.settings)
        check_output_bytes(output_bytes(servable, rows.count, outputs), services.settings)
        computed = [OUTPUT if name == PROBABILITIES else name for name in outputs]
        work = services.engine.infer(
            served.ref, rows, tuple(dict.fromkeys(computed)), label=label, timeout_s=timeout_s
        )
        answer = await while_connected(request, work)
    except (EngineError, ZooError, ServiceError) as error:
        lost = time.perf_counter() - started
        statistics.failed(*label, reason=_reason(error), seconds=lost)
        raise
    seconds = answer.seconds
    statistics.succeeded(
        *label,
        rows=rows.count,
        seconds={
            "total": time.perf_counter() - started,
            "queue": seconds.get("queue", 0.0),
            "input": seconds.get("input", 0.0),
            "infer": seconds.get("compute", 0.0),
            "output": seconds.get("output", 0.0),
        },
    )
    if PROBABILITIES not in outputs:
        return answer
    probabilities = class_probabilities(answer.arrays[OUTPUT])
    return Answer({**answer.arrays, PROBABILITIES: probabilities}, seconds, answer.batch_rows)


def check_rows(servable: Servable, rows: int, settings: Settings) -> None:
    """Raises: ServiceError or InputError if a network cannot take so many rows, or any."""
    if servable.is_training:
        raise ServiceError(
            "unprocessable",
            "The build has is_training true, and predictions are made in inference mode. Post the "
            "spec with is_training false; its weights are the same.",
        )
    if rows > settings.max_batch:
        raise InputError(
            Problem(
                f"The request has {rows} rows; the limit is {settings.max_batch} "
                f"({variable('max_batch')}).",
                received=rows,
            )
        )


def output_bytes(servable: Servable, rows: int, outputs: Iterable[str]) -> int:
    """Return how large the arrays of some outputs are."""
    shapes = {**servable.end_points, OUTPUT: servable.output_shape}
    shapes[PROBABILITIES] = servable.output_shape
    return 4 * rows * sum(math.prod(shapes[name]) for name in outputs)


def check_output_bytes(size: int, settings: Settings) -> None:
    """Raises: InputError if an answer's arrays are larger than the limit."""
    limit = settings.max_output_bytes
    if size > limit:
        raise InputError(
            f"The answer's arrays would have {size} bytes; the limit is {limit} "
            f"({variable('max_output_bytes')}). Ask for fewer end points or rows."
        )


def _reason(error: Exception) -> FailureReason:
    """Return the reason of a failure in Triton's terms."""
    match error:
        case QueueFullError():
            return "REJECTED"
        case ServiceError(kind="client-gone"):
            return "CANCELED"
        case EngineError():
            return "BACKEND"
        case _:
            return "OTHER"


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """Return what work comes to; it is given up when the client goes away.

    Raises: ServiceError if that happens.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ServiceError("client-gone", "The client closed the connection.")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(gone, task, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
