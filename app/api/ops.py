"""`/v1/ops`: the ops that a scope can list."""

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.openapi import answer, problems
from app.http.problems import unknown_names
from app.http.routing import needs
from model_zoo import OpDescription, describe_op, list_ops

router = APIRouter(prefix="/v1/ops", tags=["catalogue"])


class OpItemBody(TypedDict):
    """A scoped op, and where it is described."""

    name: str
    href: str


class OpsBody(TypedDict):
    """The scoped ops."""

    ops: list[OpItemBody]


@router.get(
    "",
    operation_id="listOps",
    summary="List the scoped ops",
    responses={200: answer("The names.", OpsBody)},
)
@needs("read")
async def read_ops() -> Response:
    """Each name is valid in the `ops` of a scope."""
    body: OpsBody = {"ops": [{"name": op, "href": link(f"/v1/ops/{op}")} for op in list_ops()]}
    return JsonAnswer(body)


@router.get(
    "/{name}",
    operation_id="getOp",
    summary="Describe a scoped op",
    responses={200: answer("The description.", OpDescription), **problems("unknown-name")},
)
@needs("read")
async def read_op(name: str) -> Response:
    """Its arguments, with their types and defaults."""
    with unknown_names():
        return JsonAnswer(describe_op(name))
