"""`/v1/architectures`: the networks that a spec can name."""

import asyncio

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.http import schemas
from app.http.problems import unknown_names
from model_zoo import describe_architecture, describe_architectures

router = APIRouter(prefix="/v1/architectures", tags=["catalogue"])


@router.get(
    "",
    summary="List the architectures",
    responses={200: schemas.answer("The catalogue.", "Architectures")},
)
async def read_architectures() -> Response:
    """Each name can stand as a spec's `architecture`; figures are of the published classes."""
    rows = await asyncio.to_thread(describe_architectures)
    return JSONResponse(
        {"architectures": [{**row, "href": f"/v1/architectures/{row['name']}"} for row in rows]}
    )


@router.get(
    "/{name}",
    summary="Describe an architecture",
    responses={200: schemas.answer("The description."), **schemas.problems("unknown-name")},
)
async def read_architecture(name: str) -> Response:
    """Parameters with types and defaults, the default scope as levels, input and preprocessing."""
    with unknown_names():
        return JSONResponse(describe_architecture(name))
