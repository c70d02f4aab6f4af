"""Saves scopes under names: reads them, stores their versions, and finds these."""

import asyncio
import re

from app.builds import Builds
from app.errors import ServiceError
from app.settings import Settings, variable
from app.store.scopes import ScopeItem, ScopeStore
from app.wording import counted
from model_zoo import (
    SCOPE_DIGEST,
    SCOPE_NAME,
    Problem,
    SavedScope,
    ZooError,
)

_NAME = re.compile(SCOPE_NAME)
_REFERENCE = re.compile(f"({SCOPE_NAME})(?:@({SCOPE_DIGEST}))?")
_NAME_RULE = (
    "A saved scope's name has 1 to 64 letters, digits, dots, underscores and hyphens, and begins "
    "with a letter or digit."
)


class SavedScopes:
    """The saved scopes. Methods that are not coroutines block."""

    def __init__(self, settings: Settings, store: ScopeStore, builds: Builds) -> None:
        self._limit = settings.max_saved_scopes
        self._store = store
        self._builds = builds

    async def put(self, name: str, body: bytes) -> tuple[ScopeItem, SavedScope, bool]:
        """Save the levels of a JSON body under a name; return the version, and whether it is new.

        A version that exists becomes the current one again.
        Raises: ZooError if the name or the levels are not valid, ServiceError if the store is full.
        """
        if not _NAME.fullmatch(name):
            rule = f"{_NAME_RULE} A version has no name: its digest follows from its levels."
            raise ZooError(Problem(rule if "@" in name else _NAME_RULE, received=name))
        scope = await self._builds.posting.run(self._builds.read_scope, name, body)
        item, is_new = await self._store.write(self._add, scope)
        return item, scope, is_new

    def _add(self, scope: SavedScope) -> tuple[ScopeItem, bool]:
        with self._store.alone():
            if self._store.count() >= self._limit and not self._has(scope):
                raise ServiceError(
                    "store-full",
                    f"The store already has {counted(self._limit, 'version')} of saved scopes "
                    f"({variable('max_saved_scopes')}). DELETE /v1/scopes/{{name}} makes room.",
                )
            return self._store.add(scope)

    def _has(self, scope: SavedScope) -> bool:
        try:
            return bool(self._store.get(scope.name, scope.digest))
        except ZooError:
            return False

    def get(self, reference: str) -> tuple[ScopeItem, SavedScope]:
        """Return the current version of a name, or the version that `name@sha256:...` names.

        Raises: ServiceError (unknown-scope) if there is none.
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise _unknown(f"{_NAME_RULE} A version is name@sha256: and at least 8 digits.")
        try:
            return self._store.get(match[1], match[2])
        except ZooError as error:
            raise _unknown(error.problems[0].message) from error

    def page(self, *, name: str | None, before: int | None, limit: int) -> list[ScopeItem]:
        """Return versions, the last put first; `before` is the sequence number that they follow."""
        if name is not None and not _NAME.fullmatch(name):
            return []
        return self._store.list(name=name, before=before, limit=limit)

    async def remove(self, reference: str) -> None:
        """Delete a version, or all versions of a name.

        Raises: ServiceError (unknown-scope) if there is none.
        """
        item, _ = await asyncio.to_thread(self.get, reference)
        digest = item.digest if "@" in reference else None
        await self._store.write(self._store.remove, item.name, digest)


def _unknown(message: str) -> ServiceError:
    return ServiceError("unknown-scope", message)
