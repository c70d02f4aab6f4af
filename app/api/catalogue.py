"""`/v1/architectures` and `/v1/ops`: what a spec can name."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.problems import ServiceError, from_library
from model_zoo import (
    ZooError,
    describe_architecture,
    describe_architectures,
    describe_op,
    list_ops,
)

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get(
    "/architectures",
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
    "/architectures/{name}",
    summary="Describe an architecture",
    responses={200: schemas.answer("The description."), **schemas.problems("unknown-name")},
)
async def read_architecture(name: str) -> Response:
    """Parameters with types and defaults, the default scope as levels, input and preprocessing."""
    return JSONResponse(_described(describe_architecture, name))


@router.get(
    "/ops", summary="List the scoped ops", responses={200: schemas.answer("The names.", "Ops")}
)
async def read_ops() -> Response:
    """Each name can stand in the `ops` of a scope."""
    return JSONResponse({"ops": [{"name": op, "href": f"/v1/ops/{op}"} for op in list_ops()]})


@router.get(
    "/ops/{name}",
    summary="Describe a scoped op",
    responses={200: schemas.answer("The description."), **schemas.problems("unknown-name")},
)
async def read_op(name: str) -> Response:
    """Its arguments: types, defaults, and what each means."""
    return JSONResponse(_described(describe_op, name))


def _described(describe: Callable[[str], Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    try:
        return describe(name)
    except ZooError as error:
        found = from_library(error)
        raise ServiceError("unknown-name", found.detail, errors=found.errors) from error
