"""`/v1/sweeps/{id}/measurements`: run rows of a sweep, and measure latency and outputs."""

import asyncio
from typing import Annotated, get_args

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import SettingsDep, SweepMeasurementsDep, SweepsDep
from app.engine import RuntimeName
from app.errors import ServiceError
from app.http.inputs import read_inputs_if_any
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.negotiation import one_of
from app.http.openapi import BODY_PROBLEMS, answer, problems
from app.http.problems import query_error
from app.http.request_bodies import OPTIONAL_INPUTS
from app.http.routing import needs
from app.serving.sweep_measurements import Measurement, MeasurementState

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])


class MeasurementBody(TypedDict):
    """How far a measurement is; the rows of the sweep have what is measured."""

    state: MeasurementState
    reason: Annotated[str | None, Field(description="Why it stopped before the end.")]
    rows: Annotated[int, Field(description="How many rows it measures.")]
    done: Annotated[int, Field(description="How many of them are measured.")]
    base: Annotated[
        str | None, Field(description="Why the outputs cannot be compared with the base's, if so.")
    ]


@router.post(
    "/{sweep_id}/measurements",
    operation_id="measureSweep",
    summary="Run rows of a sweep, and measure latency and outputs",
    status_code=202,
    openapi_extra=OPTIONAL_INPUTS,
    responses={
        202: answer("The measurement runs.", MeasurementBody),
        **problems(*BODY_PROBLEMS, "malformed-json", "unknown-sweep", "overloaded"),
    },
)
@needs("build")
async def measure(
    request: Request,
    sweep_id: str,
    settings: SettingsDep,
    sweeps: SweepsDep,
    measurements: SweepMeasurementsDep,
    rows: Annotated[
        str | None,
        Query(description="Numbers of rows with commas; all that are traced unless given."),
    ] = None,
    runs: Annotated[int, Query(ge=1, le=100, description="Runs of each network.")] = 3,
    batch_rows: Annotated[int, Query(ge=1, description="Rows of noise.")] = 1,
    seed: Annotated[int, Query(ge=0, le=2**53 - 1, description="Of the noise.")] = 0,
    probe: Annotated[
        bool, Query(description="Also probe each network, on 8 rows of noise or on the body.")
    ] = False,
    engine: Annotated[
        str | None, Query(description="The engine to run on; that of the settings unless given.")
    ] = None,
) -> Response:
    """The input is the body, as a prediction takes it; without one, it is normal noise.

    Networks run one after the other, each loaded for it. Their outputs are compared with those of
    the sweep's base. GET says how far it is, DELETE ends it; the rows have the figures.
    """
    view = await asyncio.to_thread(sweeps.get, sweep_id)
    if batch_rows > settings.max_batch:
        message = f"Query parameter batch_rows: at most {settings.max_batch} rows at once."
        raise query_error("batch_rows", message, str(batch_rows), str(settings.max_batch))
    traced = await asyncio.to_thread(sweeps.traced_rows, sweep_id)
    measurement = Measurement(
        traced if rows is None else _chosen(rows, traced),
        runs,
        batch_rows,
        seed,
        None if engine is None else one_of("engine", engine, get_args(RuntimeName)),
        await read_inputs_if_any(request, settings),
        probe,
    )
    measurements.start(view, measurement)
    location = link(f"/v1/sweeps/{sweep_id}/measurements")
    return JsonAnswer(_body(measurement), 202, {"Location": location})


@router.get(
    "/{sweep_id}/measurements",
    operation_id="getSweepMeasurement",
    summary="Say how far a measurement of a sweep is",
    responses={
        200: answer("The measurement that runs, or the last one.", MeasurementBody),
        **problems("unknown-sweep", "not-found"),
    },
)
@needs("read")
async def read_measurement(
    sweep_id: str, sweeps: SweepsDep, measurements: SweepMeasurementsDep
) -> Response:
    """A restart of the service forgets it, but not what it has measured."""
    await asyncio.to_thread(sweeps.get, sweep_id)
    measurement = measurements.get(sweep_id)
    if measurement is None:
        raise ServiceError("not-found", "Nothing measures this sweep; POST here to measure it.")
    return JsonAnswer(_body(measurement), headers={"Cache-Control": "no-store"})


@router.delete(
    "/{sweep_id}/measurements",
    operation_id="cancelSweepMeasurement",
    summary="End a measurement of a sweep",
    status_code=204,
    responses={204: {"description": "None runs."}, **problems("unknown-sweep")},
)
@needs("build")
async def cancel_measurement(
    sweep_id: str, sweeps: SweepsDep, measurements: SweepMeasurementsDep
) -> Response:
    """What it has measured stays with the rows."""
    await asyncio.to_thread(sweeps.get, sweep_id)
    await measurements.cancel(sweep_id)
    return Response(status_code=204)


def _chosen(text: str, traced: list[int]) -> list[int]:
    rows: dict[int, None] = {}
    known = set(traced)
    for each in text.split(","):
        number = int(each) if each.isascii() and each.isdecimal() and len(each) < 9 else -1
        if number not in known:
            message = f"Query parameter rows: {each[:32]!r} is no number of a row that is traced."
            raise query_error("rows", message, text[:200], None)
        rows[number] = None
    return list(rows)


def _body(measurement: Measurement) -> MeasurementBody:
    return {
        "state": measurement.state,
        "reason": measurement.reason,
        "rows": len(measurement.rows),
        "done": measurement.done,
        "base": measurement.base_failure,
    }
