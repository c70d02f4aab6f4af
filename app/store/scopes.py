"""The saved scopes: the levels of each version of a name.

Every method blocks, so the API calls them in threads.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import Store, now
from app.store.schema import Name, metadata
from model_zoo import Problem, SavedScope, ZooError, unknown_name

_scopes = sa.Table(
    "scopes",
    metadata,
    # The order in which versions were put, each for the last time. The highest of a name is its
    # current version; a number is the cursor of a listing, and is never reused.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", Name, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("level_count", sa.Integer, nullable=False),
    sa.Column("levels", sa.JSON, nullable=False),
    sa.Column("replaces", sa.Boolean, nullable=False),
    sa.Column("uses", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.UniqueConstraint("name", "digest"),
    sqlite_autoincrement=True,
)
_ITEM = ("sequence", "name", "digest", "created", "level_count")
# A request may name as many unknown scopes as it may have levels, and comparing each with
# thousands of names would take minutes.
_MAX_COMPARED = 64


@dataclass(frozen=True, slots=True)
class ScopeItem:
    """A version of a saved scope, without its levels."""

    sequence: int
    name: str
    digest: str
    created: str
    level_count: int


class ScopeStore(Store):
    """Stores the saved scopes, and gives them to `model_zoo`."""

    def add(self, scope: SavedScope) -> tuple[ScopeItem, bool]:
        """Store a version as the current one of its name; return it, and whether it is new."""
        same = sa.and_(_scopes.c.name == scope.name, _scopes.c.digest == scope.digest)
        with self.database.writing() as connection:
            created = connection.scalar(sa.select(_scopes.c.created).where(same))
            connection.execute(sa.delete(_scopes).where(same))
            connection.execute(
                sa.insert(_scopes).values(
                    name=scope.name,
                    digest=scope.digest,
                    created=created or now(),
                    level_count=len(scope.levels),
                    levels=scope.levels,
                    replaces=scope.replaces,
                    uses=scope.uses,
                    warnings=scope.warnings,
                )
            )
            return _item(connection.execute(sa.select(_scopes).where(same)).one()), created is None

    def get(self, name: str, digest: str | None) -> tuple[ScopeItem, SavedScope]:
        """Return the version whose digest begins so; without a digest, the current one.

        Raises: ZooError if there is none, or if several begin so.
        """
        query = sa.select(_scopes).where(_scopes.c.name == name)
        if digest is not None:
            query = query.where(_scopes.c.digest.startswith(digest, autoescape=True))
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(_scopes.c.sequence.desc()).limit(2)).all()
            if not rows:
                raise ZooError(_unknown(connection, name, digest))
        if digest is not None and len(rows) > 1:
            rule = f"Several versions of the saved scope {name!r} begin with {digest}; give more."
            raise ZooError(Problem(rule, "", f"{name}@{digest}"))
        row = rows[0]
        levels, uses, warnings = map(tuple, (row.levels, row.uses, row.warnings))
        return _item(row), SavedScope(row.name, levels, row.replaces, uses, warnings)

    def scope(self, name: str, digest: str | None) -> SavedScope:
        """Return a version, as `get` does, to a spec that names it."""
        return self.get(name, digest)[1]

    def list(self, *, name: str | None, before: int | None, limit: int) -> list[ScopeItem]:
        """Return versions, the last put first; `before` is the sequence number that they follow."""
        columns = [_scopes.c[column] for column in _ITEM]
        query = sa.select(*columns).order_by(_scopes.c.sequence.desc()).limit(limit)
        if name is not None:
            query = query.where(_scopes.c.name == name)
        if before is not None:
            query = query.where(_scopes.c.sequence < before)
        with self.database.reading() as connection:
            return [_item(row) for row in connection.execute(query)]

    def count(self) -> int:
        """Return how many versions there are of all names."""
        with self.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(_scopes)) or 0

    def remove(self, name: str, digest: str | None) -> None:
        """Delete a version of a name, or all of them without a digest."""
        query = sa.delete(_scopes).where(_scopes.c.name == name)
        if digest is not None:
            query = query.where(_scopes.c.digest == digest)
        with self.database.removing() as connection:
            connection.execute(query)


def _item(row: Any) -> ScopeItem:
    return ScopeItem(*(getattr(row, column) for column in _ITEM))


def _unknown(connection: sa.Connection, name: str, digest: str | None) -> Problem:
    own = sa.select(_scopes.c.digest).where(_scopes.c.name == name)
    current = connection.scalar(own.order_by(_scopes.c.sequence.desc()).limit(1))
    if current is not None:
        rule = f"The saved scope {name!r} has no version {digest}; the current one is {current}."
        return Problem(rule, "", f"{name}@{digest}", f"{name}@{current}")
    other_initial = sa.func.substr(_scopes.c.name, 1, 1) != name[:1]
    names = (
        sa.select(_scopes.c.name)
        .group_by(_scopes.c.name)
        .order_by(other_initial, _scopes.c.name)
        .limit(_MAX_COMPARED)
    )
    rule = f"There is no saved scope {name!r}."
    return unknown_name("", rule, name, connection.scalars(names).all())
