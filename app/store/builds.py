"""The builds.

A build's id is the digest of its spec, so posting the same build twice, even at once, makes one
row. Every method blocks, so the API calls them in threads.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

import sqlalchemy as sa
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.body_fields import Shape
from app.store.database import Store, now
from app.store.revision import change
from app.store.schema import insert, metadata
from model_zoo import (
    BUILD_ID,
    ProbeDocument,
    RestoreSummary,
    ScopeUseDocument,
    SpecDocument,
    Totals,
)

_builds = sa.Table(
    "builds",
    metadata,
    # The order of arrival, which is the cursor of a listing; a number is never reused.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, unique=True, nullable=False),
    sa.Column("architecture", sa.String, index=True, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

# What the last request that posted a build named, and what it was warned of. Equal specs differ in
# both, so neither may stay from an earlier request. Builds of earlier releases may have no row.
_uses = sa.Table(
    "build_scopes",
    metadata,
    sa.Column("build", sa.String, primary_key=True),
    sa.Column("uses", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
)
# What the last probe of a build found, without its curves. A build never probed has no row.
_probes = sa.Table(
    "build_probes",
    metadata,
    sa.Column("build", sa.String, primary_key=True),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("probe", sa.JSON, nullable=False),
)
_stored = sa.select(
    _builds, _uses.c.uses, _uses.c.warnings, _probes.c.probe, _probes.c.created.label("probed")
).select_from(
    _builds.outerjoin(_uses, _builds.c.id == _uses.c.build).outerjoin(
        _probes, _builds.c.id == _probes.c.build
    )
)

# The number of a build, and when it was probed last.
BuildMark = tuple[int, str]

_BUILD_ID = re.compile(BUILD_ID)


def is_build_id(name: str) -> bool:
    """Return whether a name has the form of a build id."""
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
    """A build: its normalized spec, and facts from its trace (totals, warnings, shapes).

    `saved_scopes` are those that the last request that posted it named; the warnings are of that
    request too, and of the last probe.
    """

    id: str
    architecture: str
    spec: SpecDocument
    facts: BuildFacts
    saved_scopes: Sequence[ScopeUseDocument] = ()
    created: str = ""
    sequence: int = 0
    probed: str = ""

    @property
    def mark(self) -> BuildMark:
        """What changes with the build: it is another once it was removed and posted again."""
        return self.sequence, self.probed


class BuildStore(Store):
    """Stores the builds."""

    def add(self, builds: Sequence[Build]) -> list[tuple[Build, bool]]:
        """Store builds, all or none; return each as it is stored, and whether it is new."""
        # All who add some of the same lock them in the same order, and none waits in a circle.
        in_order = sorted(range(len(builds)), key=lambda number: builds[number].id)
        with self.adding(), self.database.writing() as connection:
            stored = {number: _added(connection, builds[number]) for number in in_order}
        return [stored[number] for number in range(len(builds))]

    def keep_probe(self, build_id: str, probe: ProbeDocument) -> bool:
        """Keep what the last probe of a build found; return whether the build still exists."""
        row = {"created": now(), "probe": probe}
        with self.database.writing() as connection:
            query = sa.select(_builds.c.id).where(_builds.c.id == build_id)
            if connection.execute(query).first() is None:
                return False
            connection.execute(
                insert(connection, _probes)
                .values(build=build_id, **row)
                .on_conflict_do_update(index_elements=["build"], set_=row)
            )
            change(self.database, connection)
            return True

    def get(self, build_id: str) -> Build | None:
        """Return a build, or None if no build has this id."""
        with self.database.reading() as connection:
            row = connection.execute(_stored.where(_builds.c.id == build_id)).first()
            return _build(row) if row else None

    def spec_of(self, build_id: str) -> SpecDocument | None:
        """Return the spec of a build, or None if no build has this id."""
        build = self.get(build_id)
        return build.spec if build else None

    def using(self, source_id: str, limit: int) -> list[str]:
        """Return the ids of builds that take weights from a checkpoint or build."""
        # An id has 32 hexadecimal digits or more, so no other string in a spec equals it.
        text = sa.cast(_builds.c.spec, sa.String)
        query = (
            sa.select(_builds.c.id)
            .where(text.contains(f'"{source_id}"', autoescape=True))
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [row.id for row in connection.execute(query)]

    def list(self, *, architecture: str | None, before: int | None, limit: int) -> list[Build]:
        """Return builds, newest first; `before` is the sequence number that they follow."""
        query = _stored.order_by(_builds.c.sequence.desc()).limit(limit)
        if architecture is not None:
            query = query.where(_builds.c.architecture == architecture)
        if before is not None:
            query = query.where(_builds.c.sequence < before)
        with self.database.reading() as connection:
            return [_build(row) for row in connection.execute(query)]

    def remove(self, build_id: str) -> bool:
        """Delete a build; return whether it existed."""
        with self.database.removing() as connection:
            for table in (_uses, _probes):
                connection.execute(sa.delete(table).where(table.c.build == build_id))
            result = connection.execute(sa.delete(_builds).where(_builds.c.id == build_id))
            change(self.database, connection)
            return result.rowcount == 1

    def marks(self, build_ids: Collection[str]) -> dict[str, BuildMark]:
        """Return the marks of those builds that there are."""
        query = (
            sa.select(_builds.c.id, _builds.c.sequence, _probes.c.created)
            .select_from(_builds.outerjoin(_probes, _builds.c.id == _probes.c.build))
            .where(_builds.c.id.in_(build_ids))
        )
        with self.database.reading() as connection:
            return {row.id: (row.sequence, row.created or "") for row in connection.execute(query)}


def _added(connection: sa.Connection, build: Build) -> tuple[Build, bool]:
    added = connection.execute(
        insert(connection, _builds)
        .values(
            id=build.id,
            architecture=build.architecture,
            created=now(),
            spec=build.spec,
            facts=build.facts,
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(_builds.c.sequence)
    )
    is_new = added.first() is not None
    said = {"uses": build.saved_scopes, "warnings": build.facts["warnings"]}
    connection.execute(
        insert(connection, _uses)
        .values(build=build.id, **said)
        .on_conflict_do_update(index_elements=["build"], set_=said)
    )
    return _build(connection.execute(_stored.where(_builds.c.id == build.id)).one()), is_new


def _build(row: Any) -> Build:
    facts: BuildFacts = row.facts
    if row.uses is not None:
        facts = {**facts, "warnings": row.warnings}
    if row.probe is not None:
        facts = {**facts, "warnings": [*facts["warnings"], *_probe_warnings(row.probe)]}
    uses = row.uses or ()
    return Build(
        row.id,
        row.architecture,
        row.spec,
        facts,
        uses,
        row.created,
        row.sequence,
        row.probed or "",
    )


def _probe_warnings(probe: ProbeDocument) -> list[str]:
    """Return a warning for each verdict of a probe, which says what was probed."""
    what = {"normal": "normal noise", "arrays": "arrays", "images": "images"}[probe["input"]]
    rows = "1 row" if probe["rows"] == 1 else f"{probe['rows']} rows"
    return [f"Probed with {rows} of {what}: {each['message']}" for each in probe["verdicts"]]
