"""The builds, in a SQLite database under ZOO_HOME.

A build's id is the digest of its spec, so the same build posted twice, even at once, is one row.
Every method blocks: the API calls them in threads.
"""

import re
from dataclasses import dataclass
from typing import Any, NotRequired

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.body_fields import Shape
from app.store.database import Database, now
from model_zoo import BUILD_ID, RestoreSummary, SpecDocument, Totals

_builds = sa.Table(
    "builds",
    sa.MetaData(),
    # The order of arrival, and so the cursor of a listing: never given twice.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, unique=True, nullable=False),
    sa.Column("architecture", sa.String, index=True, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

_BUILD_ID = re.compile(BUILD_ID)


def is_build_id(name: str) -> bool:
    """Whether a name has the form of a build's id."""
    return _BUILD_ID.fullmatch(name) is not None


class TraceFacts(TypedDict):
    """What the trace of a spec says."""

    input_shape: list[int]
    output_shape: Shape
    end_points: dict[str, Shape]
    totals: Totals
    warnings: list[str]


class BuildFacts(TraceFacts):
    """What is kept of a trace, and what the sources of the weights fill: None if all are random."""

    restore: NotRequired[RestoreSummary | None]  # not in builds of the first version


@dataclass(frozen=True, slots=True)
class Build:
    """A build: its normalized spec, and what its trace says."""

    id: str
    architecture: str
    spec: SpecDocument
    facts: BuildFacts
    created: str = ""
    sequence: int = 0


class BuildStore:
    """Keeps builds between restarts."""

    def __init__(self, database: Database) -> None:
        """Use a database, making the table if there is none.

        Raises: StoreError
        """
        self._database = database
        database.create(_builds)

    def add(self, build: Build) -> tuple[Build, bool]:
        """Keep a build and return it as kept, and whether it is new."""
        with self._database.transaction() as connection:
            result = connection.execute(
                insert(_builds)
                .values(
                    id=build.id,
                    architecture=build.architecture,
                    created=now(),
                    spec=build.spec,
                    facts=build.facts,
                )
                .on_conflict_do_nothing(index_elements=["id"])
            )
            row = connection.execute(sa.select(_builds).where(_builds.c.id == build.id)).one()
            return _build(row), result.rowcount == 1

    def get(self, build_id: str) -> Build | None:
        """Return a build, or None if there is none of this id."""
        with self._database.transaction() as connection:
            row = connection.execute(sa.select(_builds).where(_builds.c.id == build_id)).first()
            return _build(row) if row else None

    def spec_of(self, build_id: str) -> SpecDocument | None:
        """Return the spec of a build, or None if there is none of this id."""
        build = self.get(build_id)
        return build.spec if build else None

    def using(self, source_id: str, limit: int) -> list[str]:
        """Return the ids of builds that take weights from a checkpoint or build."""
        # An id is hexadecimal of 32 digits or more: it stands in a spec for itself alone.
        text = sa.cast(_builds.c.spec, sa.String)
        query = (
            sa.select(_builds.c.id)
            .where(text.contains(f'"{source_id}"', autoescape=True))
            .limit(limit)
        )
        with self._database.transaction() as connection:
            return [row.id for row in connection.execute(query)]

    def list(self, *, architecture: str | None, before: int | None, limit: int) -> list[Build]:
        """Return builds, the newest first; `before` is the sequence to go on from."""
        query = sa.select(_builds).order_by(_builds.c.sequence.desc()).limit(limit)
        if architecture is not None:
            query = query.where(_builds.c.architecture == architecture)
        if before is not None:
            query = query.where(_builds.c.sequence < before)
        with self._database.transaction() as connection:
            return [_build(row) for row in connection.execute(query)]

    def remove(self, build_id: str) -> bool:
        """Forget a build; return whether there was one."""
        with self._database.transaction() as connection:
            result = connection.execute(sa.delete(_builds).where(_builds.c.id == build_id))
            return result.rowcount == 1


def _build(row: Any) -> Build:
    return Build(row.id, row.architecture, row.spec, row.facts, row.created, row.sequence)
