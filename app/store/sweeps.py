"""The sweeps: their documents, and the rows that are traced so far.

Rows are stored in their order, some at a time, so what is stored is always the beginning of a
sweep. Who traces one has a lease of it, so that no two replicas do. Every method blocks, so the API
calls them in threads.
"""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.settings import Limit
from app.store.database import Database, Store, now
from app.store.errors import StoreError
from app.store.schema import Bytes, insert, metadata
from model_zoo import MeasuredDocument, SweepRowDocument

_sweeps = sa.Table(
    "sweeps",
    metadata,
    # The order of arrival, which is the cursor of a listing; a number is never reused.
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String, unique=True, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("row_count", sa.Integer, nullable=False),
    sa.Column("bytes", Bytes, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("reason", sa.String),  # why the last run stopped before the end
    sqlite_autoincrement=True,
)
# Apart, since SQLite writes a whole row anew where one column changes, as it does with each rows.
_documents = sa.Table(
    "sweep_documents",
    metadata,
    sa.Column("sweep", sa.String, primary_key=True),
    sa.Column("document", sa.String, nullable=False),  # JSON, in which the order of keys counts
    sa.Column("scopes", sa.String, nullable=False),
)
_rows = sa.Table(
    "sweep_rows",
    metadata,
    sa.Column("sweep", sa.String, primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True),
    sa.Column("rows", sa.String, nullable=False),
)

_measured = sa.Table(
    "sweep_measurements",
    metadata,
    sa.Column("sweep", sa.String, primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("measured", sa.JSON, nullable=False),
)
# Who traces a sweep, and until when it is theirs alone; one that is not traced has no row.
_leases = sa.Table(
    "sweep_leases",
    metadata,
    sa.Column("sweep", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("until", sa.Double, nullable=False),  # seconds since 1970, by the database's clock
)
# Of a lease that is not renewed, as when its replica has died.
LEASE_S = 10.0

# What a sweep takes besides its document and its rows: its places in the tables, its progress.
_OVERHEAD_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class ListedSweep:
    """A sweep as a listing has it; `progress` is what its runs said of the rows so far."""

    sequence: int
    id: str
    created: str
    row_count: int
    progress: Mapping[str, Any]
    reason: str | None
    owner: str | None  # who traces it now


@dataclass(frozen=True, slots=True)
class StoredSweep(ListedSweep):
    """A sweep as it is stored."""

    document_json: str
    scopes_json: str


class SweepStore(Store):
    """Stores the sweeps, within a limit of bytes."""

    def __init__(self, database: Database, limit: Limit[int]) -> None:
        super().__init__(database)
        self._limit, self._max_bytes = limit, limit.value
        # Of the leases that this process has.
        self.owner = uuid.uuid4().hex

    def add(
        self, sweep_id: str, row_count: int, document_json: str, scopes_json: str
    ) -> StoredSweep:
        """Store a sweep that is to run; return it as it is stored, with the rows it has already.

        Raises: StoreError if it does not fit beside those that are running.
        """
        with self.database.writing() as connection:
            size = _OVERHEAD_BYTES + len(document_json) + len(scopes_json)
            connection.execute(
                insert(connection, _sweeps)
                .values(id=sweep_id, created=now(), row_count=row_count, progress={}, bytes=size)
                .on_conflict_do_update(index_elements=["id"], set_={"reason": None})
            )
            connection.execute(
                insert(connection, _documents)
                .values(sweep=sweep_id, document=document_json, scopes=scopes_json)
                .on_conflict_do_nothing()
            )
            self._make_room(connection, sweep_id)
            return _stored(connection.execute(self._selected(sweep_id)).one())

    def take(self, sweep_id: str) -> None:
        """Take the lease of a sweep; in the same block it was seen that nobody has it."""
        lease = {"owner": self.owner, "until": self.database.clock() + LEASE_S}
        with self.database.writing() as connection:
            connection.execute(
                insert(connection, _leases)
                .values(sweep=sweep_id, **lease)
                .on_conflict_do_update(index_elements=["sweep"], set_=lease)
            )

    def renew(self, sweep_ids: Collection[str]) -> set[str]:
        """Hold on to the leases of sweeps; return those that this process has no more."""
        with self.database.writing() as connection:
            own = sa.and_(_leases.c.sweep.in_(sweep_ids), _leases.c.owner == self.owner)
            until = self.database.clock() + LEASE_S
            connection.execute(sa.update(_leases).where(own).values(until=until))
            held = connection.scalars(sa.select(_leases.c.sweep).where(own)).all()
        return set(sweep_ids).difference(held)

    def append(
        self, sweep_id: str, rows: Sequence[SweepRowDocument], progress: Mapping[str, Any]
    ) -> None:
        """Store the next rows of a sweep; the oldest sweeps that are not running make room.

        Raises: StoreError if the sweep is not there any more, if another replica has taken it, or
        if it does not fit.
        """
        text = json.dumps(rows, separators=(",", ":"))
        with self.database.writing() as connection:
            updated = connection.execute(
                sa.update(_sweeps)
                .where(_sweeps.c.id == sweep_id)
                .values(progress=progress, bytes=_sweeps.c.bytes + len(text))
            )
            if not updated.rowcount:
                raise StoreError("The sweep was deleted.")
            if self.renew([sweep_id]):
                raise StoreError("Another replica of the service traces the sweep now.")
            connection.execute(
                sa.insert(_rows).values(sweep=sweep_id, first=rows[0]["index"], rows=text)
            )
            self._make_room(connection, sweep_id)

    def stop(self, sweep_id: str, reason: str | None) -> None:
        """Give back the lease of a sweep; store why it stopped, if it was before its end."""
        with self.database.writing() as connection:
            own = sa.and_(_leases.c.sweep == sweep_id, _leases.c.owner == self.owner)
            released = connection.execute(sa.delete(_leases).where(own))
            if released.rowcount and reason is not None:
                connection.execute(
                    sa.update(_sweeps).where(_sweeps.c.id == sweep_id).values(reason=reason)
                )

    def _make_room(self, connection: sa.Connection, sweep_id: str) -> None:
        """Remove the oldest sweeps until the others fit; this one stays, as those that run do."""
        total = connection.scalar(sa.select(sa.func.sum(_sweeps.c.bytes))) or 0
        if total <= self._max_bytes:
            return
        leased = connection.scalars(sa.select(_leases.c.sweep).where(self._is_held))
        running = {sweep_id, *leased}
        oldest = sa.select(_sweeps.c.id, _sweeps.c.bytes).order_by(_sweeps.c.sequence)
        for row in connection.execute(oldest).all():
            if row.id not in running:
                _remove(connection, row.id)
                total -= row.bytes
                if total <= self._max_bytes:
                    return
        raise StoreError(
            f"The sweeps that are running take {total} bytes; the limit is {self._limit}."
        )

    def get(self, sweep_id: str) -> StoredSweep | None:
        """Return a sweep, or None if no sweep has this id."""
        with self.database.reading() as connection:
            row = connection.execute(self._selected(sweep_id)).first()
            return _stored(row) if row else None

    def rows(self, sweep_id: str, start: int = 0) -> Iterator[list[SweepRowDocument]]:
        """Yield the rows from a number on, in their order, some at a time."""
        while True:
            query = (
                sa.select(_rows.c.first, _rows.c.rows)
                .where(_rows.c.sweep == sweep_id, _rows.c.first <= start)
                .order_by(_rows.c.first.desc())
                .limit(1)
            )
            with self.database.reading() as connection:
                row = connection.execute(query).first()
            rows: list[SweepRowDocument] = [] if row is None else json.loads(row.rows)
            rows = [] if row is None else rows[start - row.first :]
            if not rows:
                return
            yield rows
            start += len(rows)

    def measure(self, sweep_id: str, row: int, measured: MeasuredDocument) -> None:
        """Store what was measured of a row, in place of what was before.

        Raises: StoreError if the sweep is not there any more.
        """
        values = {"sweep": sweep_id, "row": row, "measured": measured}
        with self.database.writing() as connection:
            query = sa.select(_sweeps.c.id).where(_sweeps.c.id == sweep_id)
            if connection.execute(query).first() is None:
                raise StoreError("The sweep was deleted.")
            connection.execute(
                insert(connection, _measured)
                .values(**values)
                .on_conflict_do_update(index_elements=["sweep", "row"], set_=values)
            )

    def measured(self, sweep_id: str) -> dict[int, MeasuredDocument]:
        """Return what was measured of the rows, by their numbers."""
        query = sa.select(_measured.c.row, _measured.c.measured).where(
            _measured.c.sweep == sweep_id
        )
        with self.database.reading() as connection:
            return {row.row: row.measured for row in connection.execute(query)}

    def list(self, *, before: int | None, limit: int) -> list[ListedSweep]:
        """Return sweeps, newest first; `before` is the sequence number that they follow."""
        query = self._select().order_by(_sweeps.c.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(_sweeps.c.sequence < before)
        with self.database.reading() as connection:
            return [ListedSweep(**_listed(row)) for row in connection.execute(query)]

    def remove(self, sweep_id: str) -> None:
        """Delete a sweep and its rows."""
        with self.database.removing() as connection:
            _remove(connection, sweep_id)

    @property
    def _is_held(self) -> sa.ColumnElement[bool]:
        """Whether somebody has a lease; who shares no database knows it without a clock."""
        if not self.database.is_shared:
            return _leases.c.owner == self.owner
        return _leases.c.until > self.database.clock()

    def _select(self) -> sa.Select[Any]:
        leased = sa.and_(_leases.c.sweep == _sweeps.c.id, self._is_held)
        return sa.select(_sweeps, _leases.c.owner).outerjoin_from(_sweeps, _leases, leased)

    def _selected(self, sweep_id: str) -> sa.Select[Any]:
        return (
            self._select()
            .add_columns(_documents.c.document, _documents.c.scopes)
            .join(_documents, _sweeps.c.id == _documents.c.sweep)
            .where(_sweeps.c.id == sweep_id)
        )


def _remove(connection: sa.Connection, sweep_id: str) -> None:
    for table in (_rows, _measured, _documents, _leases):
        connection.execute(sa.delete(table).where(table.c.sweep == sweep_id))
    connection.execute(sa.delete(_sweeps).where(_sweeps.c.id == sweep_id))


def _listed(row: Any) -> dict[str, Any]:
    names = ("sequence", "id", "created", "row_count", "progress", "reason", "owner")
    return {name: getattr(row, name) for name in names}


def _stored(row: Any) -> StoredSweep:
    return StoredSweep(**_listed(row), document_json=row.document, scopes_json=row.scopes)
