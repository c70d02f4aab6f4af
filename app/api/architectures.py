"""`/v1/architectures`: the networks that a spec can name."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.openapi import answer, problems
from app.http.problems import unknown_names
from app.http.routing import needs
from model_zoo import (
    ArchitectureDescription,
    ArchitectureRow,
    describe_architecture,
    describe_architectures,
)

router = APIRouter(prefix="/v1/architectures", tags=["catalogue"])


class ArchitectureItemBody(ArchitectureRow):
    """An architecture as published, in a row of the catalogue."""

    href: str


class ArchitecturesBody(TypedDict):
    """The catalogue of architectures."""

    architectures: list[ArchitectureItemBody]


@router.get(
    "",
    operation_id="listArchitectures",
    summary="List the architectures",
    responses={200: answer("The catalogue.", ArchitecturesBody)},
)
@needs("read")
async def read_architectures() -> Response:
    """Each name is a valid `architecture` of a spec. Figures are for the published classes."""
    rows = await asyncio.to_thread(describe_architectures)
    body: ArchitecturesBody = {
        "architectures": [{**row, "href": link(f"/v1/architectures/{row['name']}")} for row in rows]
    }
    return JsonAnswer(body)


@router.get(
    "/{name}",
    operation_id="getArchitecture",
    summary="Describe an architecture",
    responses={
        200: answer("The description.", ArchitectureDescription),
        **problems("unknown-name"),
    },
)
@needs("read")
async def read_architecture(name: str) -> Response:
    """Its parameters with types and defaults, its default scope, input and preprocessing."""
    with unknown_names():
        return JsonAnswer(describe_architecture(name))
