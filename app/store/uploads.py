"""What each replica receives for the bucket that they share: its uploads, and the room they claim.

A replica has one row, which it writes anew while it receives anything. One that is not written any
more is of a replica that has died, and does not count. Every method blocks.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import sqlalchemy as sa

from app.store.database import Database, Store
from app.store.schema import Bytes, insert, metadata

_uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("replica", sa.String, primary_key=True),
    sa.Column("uploads", sa.JSON, nullable=False),
    sa.Column("claimed_bytes", Bytes, nullable=False),
    sa.Column("until", sa.Double, nullable=False),  # seconds since 1970, by the database's clock
)
# Of a row that is not written anew.
VALID_S = 10.0

UploadState = Literal["receiving", "reading"]


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """An upload in progress; its id is the id of the request."""

    id: str
    size_bytes: int | None
    received_bytes: int
    state: UploadState


@dataclass(frozen=True, slots=True)
class Receiving:
    """What a replica receives, and the bytes of the store that it claims for that."""

    uploads: Sequence[UploadProgress]
    claimed_bytes: int


class UploadStore(Store):
    """Stores what this replica receives, and reads what the others do."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.replica = uuid.uuid4().hex

    def put(self, receiving: Receiving) -> None:
        """Store what this replica receives now; nothing, if that is so."""
        own = _uploads.c.replica == self.replica
        row = {
            "uploads": [asdict(upload) for upload in receiving.uploads],
            "claimed_bytes": receiving.claimed_bytes,
            "until": self.database.clock() + VALID_S,
        }
        with self.database.adding(), self.database.writing() as connection:
            if not receiving.uploads:
                connection.execute(sa.delete(_uploads).where(own))
                return
            # Nobody else would remove what a replica that died has left.
            connection.execute(sa.delete(_uploads).where(_uploads.c.until < self.database.clock()))
            connection.execute(
                insert(connection, _uploads)
                .values(replica=self.replica, **row)
                .on_conflict_do_update(index_elements=["replica"], set_=row)
            )

    def others(self) -> list[Receiving]:
        """Return what each other replica receives."""
        query = sa.select(_uploads).where(
            _uploads.c.replica != self.replica, _uploads.c.until >= self.database.clock()
        )
        with self.database.reading() as connection:
            return [
                Receiving([UploadProgress(**each) for each in row.uploads], row.claimed_bytes)
                for row in connection.execute(query)
            ]
