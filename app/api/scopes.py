"""`/v1/scopes`: save levels under names, list, read and delete them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import SavedScopesDep, SettingsDep
from app.body_fields import Links, Time
from app.http.bodies import read_document
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.openapi import BODY_PROBLEMS, answer, problems
from app.http.paging import Cursor, PageLimit, page_of, read_cursor
from app.http.request_bodies import LEVELS
from app.http.routing import needs
from app.store.scopes import ScopeItem
from app.wording import clip_warnings
from model_zoo import LevelDocument, SavedScope, ScopeUseDocument

router = APIRouter(prefix="/v1/scopes", tags=["scopes"])

_Name = Annotated[
    str,
    Path(
        description="A name, or one version: name@sha256: and the beginning of its digest, at "
        "least 8 digits."
    ),
]


class _VersionBody(TypedDict):
    name: str
    digest: Annotated[str, Field(description="name@digest names this version in a spec.")]
    created: Time


class ScopeItemBody(_VersionBody):
    """A version of a saved scope in a list."""

    level_count: int
    links: Links


class ScopeBody(_VersionBody):
    """A version of a saved scope."""

    levels: list[LevelDocument]
    replaces: Annotated[
        bool,
        Field(description="It was made of a `saved`: even nested, it replaces all outside it."),
    ]
    saved_scopes: Annotated[
        list[ScopeUseDocument], Field(description="The scopes that it was made of.")
    ]
    warnings: list[str]
    links: Links


class ScopesBody(TypedDict):
    """One page of versions, and the path of the next page."""

    scopes: list[ScopeItemBody]
    next: str | None


@router.put(
    "/{name}",
    operation_id="putScope",
    summary="Save levels under a name",
    status_code=201,
    openapi_extra=LEVELS,
    responses={
        201: answer("The version is new.", ScopeBody),
        200: answer("The version exists already.", ScopeBody),
        **problems(
            *BODY_PROBLEMS,
            "malformed-json",
            "invalid-spec",
            "over-budget",
            "unprocessable",
            "store-full",
        ),
    },
)
@needs("build")
async def put_scope(
    request: Request,
    name: Annotated[str, Path(description="The name alone.")],
    settings: SettingsDep,
    scopes: SavedScopesDep,
) -> Response:
    """The name then stands for these levels; builds made before keep theirs.

    A version's digest is that of its levels, in which other saved scopes are resolved.
    """
    body = await read_document(request, settings)
    item, scope, is_new = await scopes.put(name, body)
    content = _body(item, scope)
    return JsonAnswer(content, 201 if is_new else 200, {"Location": content["links"]["self"]})


@router.get(
    "",
    operation_id="listScopes",
    summary="List saved scopes, the last put first",
    responses={200: answer("One page of versions.", ScopesBody)},
)
@needs("read")
async def list_scopes(
    scopes: SavedScopesDep,
    name: Annotated[str | None, Query(description="Only versions of this name.")] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every version is in the list; the first of a name is its current one."""
    items = await asyncio.to_thread(
        scopes.page, name=name, before=read_cursor(cursor), limit=limit + 1
    )
    page, next_page = page_of(items, limit, "/v1/scopes", name=name)
    body: ScopesBody = {
        "scopes": [
            {**_version(item), "level_count": item.level_count, "links": _links(item)}
            for item in page
        ],
        "next": next_page,
    }
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


@router.get(
    "/{name}",
    operation_id="getScope",
    summary="Get a saved scope",
    responses={200: answer("The version.", ScopeBody), **problems("unknown-scope")},
)
@needs("read")
async def read_scope(name: _Name, scopes: SavedScopesDep) -> Response:
    """The current version of a name, or the version that a digest names."""
    return JsonAnswer(_body(*await asyncio.to_thread(scopes.get, name)))


@router.delete(
    "/{name}",
    operation_id="deleteScope",
    summary="Delete a saved scope, or one version of it",
    status_code=204,
    responses={204: {"description": "It is deleted."}, **problems("unknown-scope")},
)
@needs("admin")
async def delete_scope(name: _Name, scopes: SavedScopesDep) -> Response:
    """Builds and other scopes that were made of it have its levels, and keep them."""
    await scopes.remove(name)
    return Response(status_code=204)


def _body(item: ScopeItem, scope: SavedScope) -> ScopeBody:
    return {
        **_version(item),
        "levels": list(scope.levels),
        "replaces": scope.replaces,
        "saved_scopes": list(scope.uses),
        "warnings": clip_warnings(scope.warnings),
        "links": _links(item),
    }


def _version(item: ScopeItem) -> _VersionBody:
    return {"name": item.name, "digest": item.digest, "created": item.created}


def _links(item: ScopeItem) -> Links:
    path = link(f"/v1/scopes/{item.name}")
    return {"self": f"{path}@{item.digest}", "current": path}
