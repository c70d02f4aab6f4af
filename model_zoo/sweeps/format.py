"""A sweep as a request writes it."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from model_zoo.errors import Problem, SpecError
from model_zoo.format_problems import format_problems
from model_zoo.plain_values import spell
from model_zoo.weight_sources import Part

MAX_AXES = 32
_MAX_CONDITIONS = 32
_Axes = Annotated[dict[str, JsonValue], Field(max_length=MAX_AXES)]
_AXES: Any = Field(
    default={},
    description="What varies: a place in the spec by JSON pointer, or the name of a zip group, to "
    "a list of values or an object that says how to find them. The last one varies fastest.",
    examples=[
        {"/params/depth_multiplier": [0.25, 0.5, 1], "/architecture": {"glob": "mobilenet_*"}}
    ],
)


class SpaceRequest(Part):
    """One of several spaces: its own axes, and a spec if it has one of its own."""

    spec: dict[str, JsonValue] | None = None
    axes: _Axes = _AXES


class SweepRequest(Part):
    """A sweep: a base spec, and the axes along which its builds differ."""

    spec: dict[str, JsonValue] = Field(
        default={}, description="The base: a build spec, in which each row sets its values."
    )
    method: Literal["grid", "random"] = Field(
        default="grid",
        description="grid makes a row of each combination; random draws `run_cap` rows.",
    )
    axes: _Axes = _AXES
    union: Annotated[list[SpaceRequest], Field(max_length=MAX_AXES)] = Field(
        default=[], description="Several spaces, one after the other, in place of `axes`."
    )
    where: Annotated[list[str], Field(max_length=_MAX_CONDITIONS)] = Field(
        default=[],
        description="Conditions on totals, all of which the rows meet that are not filtered.",
        examples=[["parameters < 5000000"]],
    )
    columns: Annotated[list[Literal["predicted_gain"]], Field(max_length=1)] = Field(
        default=[],
        description="Figures of each row besides the totals. predicted_gain: how much larger the "
        "scores of the initialized network are than its input, told from the trace.",
    )
    run_cap: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="How many rows random draws. A grid with more rows is refused, never cut.",
    )
    # JSON numbers beyond this differ from reader to reader (RFC 7493, 2.2).
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(
        default=0, description="Decides what is drawn; that of weights is in the spec."
    )


def read_request(data: object) -> SweepRequest:
    """Return the sweep that parsed JSON stands for; axes and conditions are not read yet.

    Raises: SpecError with a problem for each mistake.
    """
    if not isinstance(data, dict):
        raise SpecError(Problem(f"A sweep is a JSON object; received {spell(data)}.", "", data))
    try:
        request = SweepRequest.model_validate(data)
    except ValidationError as error:
        raise SpecError(*format_problems(error, SweepRequest)) from error
    try:
        json.dumps(data, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"A sweep must be possible to write as JSON: {error}.") from error
    return request
