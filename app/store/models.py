"""The named models: which build each version of a name is.

Every inference looks up a name, for which `app.store.model_records` has all of them in memory.
Methods here block, so the API calls them in threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.calibrations import Calibration
from app.store.database import Store, now
from app.store.revision import change
from app.store.schema import Name, metadata

_models = sa.Table(
    "models",
    metadata,
    # The order of arrival, which is the cursor of a listing; a number is never reused.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", Name, nullable=False),
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

_class_names = sa.Table(
    "class_names",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),  # of the version
    sa.Column("names", sa.Text, nullable=False),
)

# Only versions in int8 have a row.
_calibrations = sa.Table(
    "calibrations",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),  # of the version
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of a named model; the service decides an engine or precision of None.

    `class_names` has a name a line: all records are in memory, and one string is the smallest form.
    """

    name: str
    version: int
    build: str
    labels: tuple[str, ...] = ()
    engine: str | None = None
    precision: str | None = None
    pinned: bool = False
    created: str = ""
    sequence: int = 0
    class_names: str = ""
    calibration: Calibration | None = None

    def runs_as(self, other: "VersionRecord") -> bool:
        """Return whether another version is the same build, run in the same way."""
        return (self.build, self.engine, self.precision, self.pinned, self.calibration) == (
            other.build,
            other.engine,
            other.precision,
            other.pinned,
            other.calibration,
        )


class ModelStore(Store):
    """Stores the named models."""

    def versions(self, name: str) -> Sequence[VersionRecord]:
        """Return the versions of a name, highest first; empty if there is no such name."""
        return self._read(_models.c.name == name)

    def names(self) -> list[str]:
        """Return every name, in alphabetical order."""
        query = sa.select(_models.c.name).group_by(_models.c.name).order_by(_models.c.name)
        with self.database.reading() as connection:
            return list(connection.scalars(query))

    def all(self) -> list[VersionRecord]:
        """Return every version of every name: by name, the highest version first."""
        return self._read()

    def using(self, build_id: str) -> list[VersionRecord]:
        """Return the versions that are a build, ordered by name."""
        return self._read(_models.c.build == build_id)

    def count(self) -> int:
        """Return how many versions there are of all names."""
        with self.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(_models)) or 0

    def has_calibration(self, digest: str) -> bool:
        """Return whether the rows with a digest calibrate any version."""
        query = sa.select(_calibrations.c.sequence).where(_calibrations.c.digest == digest)
        with self.database.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def add(self, version: VersionRecord) -> VersionRecord:
        """Store a new version; its labels move to it from other versions of its name."""
        with self.database.writing() as connection:
            self._take_labels(connection, version.name, version.labels)
            added = connection.execute(
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
            sequence: Any = added.inserted_primary_key
            _set_class_names(connection, sequence[0], version.class_names)
            if version.calibration:
                connection.execute(
                    sa.insert(_calibrations).values(
                        sequence=sequence[0],
                        digest=version.calibration.digest,
                        rows=version.calibration.rows,
                    )
                )
            change(self.database, connection)
            return self._find(version)

    def label(self, version: VersionRecord, labels: Sequence[str]) -> VersionRecord:
        """Replace a version's labels; the new ones move to it from other versions of its name."""
        with self.database.writing() as connection:
            self._take_labels(connection, version.name, labels)
            connection.execute(
                sa.update(_models)
                .where(_models.c.name == version.name, _models.c.version == version.version)
                .values(labels=list(labels))
            )
            change(self.database, connection)
            return self._find(version)

    def name_classes(self, version: VersionRecord, names: str) -> VersionRecord:
        """Replace the names of a version's classes, a name a line."""
        with self.database.writing() as connection:
            _set_class_names(connection, version.sequence, names)
            change(self.database, connection)
            return self._find(version)

    def remove(self, versions: Sequence[VersionRecord]) -> None:
        """Delete versions."""
        numbers = [version.sequence for version in versions]
        with self.database.removing() as connection:
            for table in (_models, _class_names, _calibrations):
                connection.execute(sa.delete(table).where(table.c.sequence.in_(numbers)))
            change(self.database, connection)

    def _take_labels(self, connection: sa.Connection, name: str, labels: Sequence[str]) -> None:
        for version in self.versions(name) if labels else ():
            remaining = [label for label in version.labels if label not in labels]
            if len(remaining) < len(version.labels):
                connection.execute(
                    sa.update(_models)
                    .where(_models.c.sequence == version.sequence)
                    .values(labels=remaining)
                )

    def _find(self, version: VersionRecord) -> VersionRecord:
        (stored,) = self._read(_models.c.name == version.name, _models.c.version == version.version)
        return stored

    def _read(self, *conditions: sa.ColumnElement[bool]) -> list[VersionRecord]:
        query = (
            sa.select(_models, _class_names.c.names, _calibrations.c.digest, _calibrations.c.rows)
            .outerjoin_from(_models, _class_names, _models.c.sequence == _class_names.c.sequence)
            .outerjoin(_calibrations, _models.c.sequence == _calibrations.c.sequence)
            .where(*conditions)
            .order_by(_models.c.name, _models.c.version.desc())
        )
        with self.database.reading() as connection:
            return [_version(row) for row in connection.execute(query)]


def _set_class_names(connection: sa.Connection, sequence: int, names: str) -> None:
    connection.execute(sa.delete(_class_names).where(_class_names.c.sequence == sequence))
    if names:
        connection.execute(sa.insert(_class_names).values(sequence=sequence, names=names))


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
        class_names=row.names or "",
        calibration=Calibration(row.digest, row.rows) if row.digest else None,
    )
