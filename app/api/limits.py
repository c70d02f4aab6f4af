"""`/v1/limits`: what the service admits."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import SettingsDep
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer
from app.http.routing import needs
from app.settings import limit_fields, variable

router = APIRouter(tags=["service"])


class LimitBody(TypedDict):
    """One limit."""

    name: str
    value: float
    counts: Annotated[str | None, Field(description="What is limited.")]
    setting: Annotated[str, Field(description="The environment variable that sets it.")]


class LimitsBody(TypedDict):
    """Every limit of the service."""

    limits: list[LimitBody]


@router.get(
    "/v1/limits",
    operation_id="listLimits",
    summary="List every limit",
    responses={200: answer("The limits.", LimitsBody)},
)
@needs("read")
async def read_limits(settings: SettingsDep) -> Response:
    """Each limit with its value, what it limits, and the environment variable that sets it."""
    values = settings.model_dump()
    body: LimitsBody = {
        "limits": [
            {
                "name": name,
                "value": values[name],
                "counts": field.description,
                "setting": variable(name),
            }
            for name, field in limit_fields().items()
        ]
    }
    return JsonAnswer(body)
