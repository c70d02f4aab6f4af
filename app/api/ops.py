"""`/v1/ops`: the ops that a scope can list."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.http import schemas
from app.http.problems import unknown_names
from model_zoo import describe_op, list_ops

router = APIRouter(prefix="/v1/ops", tags=["catalogue"])


@router.get("", summary="List the scoped ops", responses={200: schemas.answer("The names.", "Ops")})
async def read_ops() -> Response:
    """Each name can stand in the `ops` of a scope."""
    return JSONResponse({"ops": [{"name": op, "href": f"/v1/ops/{op}"} for op in list_ops()]})


@router.get(
    "/{name}",
    summary="Describe a scoped op",
    responses={200: schemas.answer("The description."), **schemas.problems("unknown-name")},
)
async def read_op(name: str) -> Response:
    """Its arguments: types, defaults, and what each means."""
    with unknown_names():
        return JSONResponse(describe_op(name))
