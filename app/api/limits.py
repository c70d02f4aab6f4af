"""`/v1/limits`: what the service admits."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.parts import SettingsDep
from app.http import schemas
from app.settings import limit_fields, variable

router = APIRouter(tags=["service"])


@router.get(
    "/v1/limits",
    summary="List every limit",
    responses={200: schemas.answer("The limits.", "Limits")},
)
async def read_limits(settings: SettingsDep) -> Response:
    """Each limit with its value, what it counts, and the environment variable that sets it."""
    values = settings.model_dump()
    limits = [
        {
            "name": name,
            "value": values[name],
            "counts": field.description,
            "setting": variable(name),
        }
        for name, field in limit_fields().items()
    ]
    return JSONResponse({"limits": limits})
