"""The named models: which build each version of a name is. In the database of the builds.

All of it is in memory too, and read there: every inference looks a name up. What writes blocks; the
API calls it in threads, one at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.database import Database, now

_models = sa.Table(
    "models",
    sa.MetaData(),
    # The order of arrival, and so the cursor of a listing: never given twice.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("build", sa.String, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("engine", sa.String),
    sa.Column("precision", sa.String),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.UniqueConstraint("name", "version"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of a named model; engine and precision are None where the service decides."""

    name: str
    version: int
    build: str
    labels: tuple[str, ...] = ()
    engine: str | None = None
    precision: str | None = None
    pinned: bool = False
    created: str = ""
    sequence: int = 0

    def runs_as(self, other: "VersionRecord") -> bool:
        """Whether another version is the same build, run in the same way."""
        return (self.build, self.engine, self.precision, self.pinned) == (
            other.build,
            other.engine,
            other.precision,
            other.pinned,
        )


class ModelStore:
    """Keeps named models between restarts."""

    def __init__(self, database: Database) -> None:
        """Use a database, making the table if there is none.

        Raises: StoreError
        """
        self._database = database
        database.create(_models)
        with database.transaction() as connection:
            self._keep(_read(connection))

    def versions(self, name: str) -> Sequence[VersionRecord]:
        """Return the versions of a name, the highest first; none if there is no such name."""
        return self._records.get(name, ())

    def names(self) -> Sequence[str]:
        """Return every name, in the order of the alphabet."""
        return tuple(self._records)

    def all(self) -> list[VersionRecord]:
        """Return every version of every name, what came last first."""
        records = [version for versions in self._records.values() for version in versions]
        return sorted(records, key=lambda version: version.sequence, reverse=True)

    def using(self, build_id: str) -> list[VersionRecord]:
        """Return the versions that are a build, by name."""
        return self._by_build.get(build_id, [])

    def add(self, version: VersionRecord) -> VersionRecord:
        """Keep a new version; labels that others of its name had are its own from now on."""
        with self._database.transaction() as connection:
            _take_labels(connection, version.name, version.labels)
            connection.execute(
                sa.insert(_models).values(
                    name=version.name,
                    version=version.version,
                    build=version.build,
                    labels=list(version.labels),
                    engine=version.engine,
                    precision=version.precision,
                    pinned=version.pinned,
                    created=now(),
                )
            )
            records = _read(connection)
        self._keep(records)
        return self._find(version)

    def label(self, version: VersionRecord, labels: Sequence[str]) -> VersionRecord:
        """Give a version these labels and no others; none of its name has one of them besides."""
        with self._database.transaction() as connection:
            _take_labels(connection, version.name, labels)
            connection.execute(
                sa.update(_models)
                .where(_models.c.name == version.name, _models.c.version == version.version)
                .values(labels=list(labels))
            )
            records = _read(connection)
        self._keep(records)
        return self._find(version)

    def remove(self, versions: Sequence[VersionRecord]) -> None:
        """Forget versions."""
        numbers = [version.sequence for version in versions]
        with self._database.transaction() as connection:
            connection.execute(sa.delete(_models).where(_models.c.sequence.in_(numbers)))
            records = _read(connection)
        self._keep(records)

    def _keep(self, records: dict[str, tuple[VersionRecord, ...]]) -> None:
        by_build: dict[str, list[VersionRecord]] = {}
        for versions in records.values():
            for version in versions:
                by_build.setdefault(version.build, []).append(version)
        self._records, self._by_build = records, by_build

    def _find(self, version: VersionRecord) -> VersionRecord:
        return next(v for v in self.versions(version.name) if v.version == version.version)


def _take_labels(connection: sa.Connection, name: str, labels: Sequence[str]) -> None:
    for version in _read(connection).get(name, ()):
        left = [label for label in version.labels if label not in labels]
        if len(left) < len(version.labels):
            connection.execute(
                sa.update(_models).where(_models.c.sequence == version.sequence).values(labels=left)
            )


def _read(connection: sa.Connection) -> dict[str, tuple[VersionRecord, ...]]:
    records: dict[str, tuple[VersionRecord, ...]] = {}
    query = sa.select(_models).order_by(_models.c.name, _models.c.version.desc())
    for row in connection.execute(query):
        records[row.name] = (*records.get(row.name, ()), _version(row))
    return records


def _version(row: Any) -> VersionRecord:
    return VersionRecord(
        name=row.name,
        version=row.version,
        build=row.build,
        labels=tuple(row.labels),
        engine=row.engine,
        precision=row.precision,
        pinned=row.pinned,
        created=row.created,
        sequence=row.sequence,
    )
