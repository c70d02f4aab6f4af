"""Replicas that share a database and a bucket divide the room for uploads, and list them all."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from buckets import S3Server
from starlette.testclient import TestClient
from zoo_server import NoEngine, poll

from app.errors import ServiceError
from app.main import create_app
from app.serving.upload_room import Upload, UploadRoom
from app.settings import Settings
from app.store import uploads
from app.store.database import Database
from app.store.errors import StoreError
from app.store.postgresql import PostgresqlDatabase
from app.store.uploads import UploadStore
from model_zoo import CheckpointStore

Room = Callable[..., UploadRoom]


class Bucket(CheckpointStore):
    """Has as many bytes as it is given."""

    def __init__(self) -> None:
        self.bytes = 0

    def stored_bytes(self) -> int:
        return self.bytes


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = PostgresqlDatabase(postgresql_url, Settings().store_wait)
    yield database
    database.close()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def room(database: Database, bucket: Bucket) -> Room:
    """Return a function that makes the room of another replica."""

    def make(limit: int = 100) -> UploadRoom:
        settings = Settings(max_checkpoints_bytes=limit)
        return UploadRoom(settings, bucket, UploadStore(database))

    return make


@contextlib.contextmanager
def receiving(room: UploadRoom, size: int = 0) -> Iterator[Upload]:
    """Give an upload in progress of which a number of bytes has arrived, and is announced."""
    upload = Upload("some", None)
    room._uploads[id(upload)] = upload
    if size:
        room.reserve(upload, size)
    yield upload
    del room._uploads[id(upload)]
    room._has_ended = True


def test_a_replica_counts_what_another_receives(room: Room, bucket: Bucket) -> None:
    one, other = room(), room()
    bucket.bytes = 10
    with receiving(one, 50), receiving(other) as upload:
        with pytest.raises(ServiceError) as refusal:
            other.reserve(upload, 41)
        assert refusal.value.detail == (
            "10 bytes of weights are stored, uploads in progress take 50, and 41 more do not fit; "
            "the limit is 100 (ZOO_MAX_CHECKPOINTS_BYTES). DELETE /v1/weights/{id} makes room."
        )
        other.reserve(upload, 40)
        with pytest.raises(ServiceError, match="take 90, and 1 more"):
            one.check_declared(Upload("third", 1))


def test_a_claim_ends_once_its_upload_is_stored(room: Room, bucket: Bucket) -> None:
    one, other = room(), room()
    with receiving(one, 50):
        bucket.bytes = 50  # stored, before the upload ends
    one._claim_again()
    with receiving(other) as upload, receiving(one) as next_upload:
        other.reserve(upload, 40)
        one.reserve(next_upload, 10)
        with pytest.raises(ServiceError, match="50 bytes of weights are stored"):
            one.reserve(next_upload, 1)


def test_an_upload_that_ends_during_a_count_is_counted_at_the_next(
    room: Room, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = room()
    with receiving(own) as upload, contextlib.ExitStack() as ending:
        ending.enter_context(receiving(own, 50))

        def count() -> int:
            monkeypatch.undo()
            bucket.bytes = 50  # after this count
            ending.close()
            return 0

        monkeypatch.setattr(bucket, "stored_bytes", count)
        own.reserve(upload, 40)
        with pytest.raises(ServiceError, match="50 bytes of weights are stored"):
            own.reserve(upload, 11)


def test_what_a_replica_claims_ahead_is_more_than_arrives_and_less_than_is_left(
    room: Room, database: Database
) -> None:
    one, other = room(256_000), UploadStore(database)
    with receiving(one, 1) as upload:
        assert [each.claimed_bytes for each in other.others()] == [1001]
        one.reserve(upload, 1000)  # without a look at the store
        assert [each.claimed_bytes for each in other.others()] == [1001]
        one.reserve(upload, 254_500)
        assert [each.claimed_bytes for each in other.others()] == [256_000]


def test_a_replica_that_died_claims_nothing(
    room: Room, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = room(), room()
    monkeypatch.setattr(uploads, "VALID_S", -1.0)
    with receiving(one, 100):
        pass
    monkeypatch.undo()
    with receiving(other, 100), database.reading() as connection:
        replicas = connection.scalars(sa.select(uploads._uploads.c.replica)).all()
    assert other._shared is not None
    assert replicas == [other._shared.replica]


def test_of_all_that_meet_at_the_limit_no_byte_too_many_is_taken(room: Room) -> None:
    limit, piece = 25_600, 64
    rooms = [room(limit) for _ in range(3)]
    start = threading.Barrier(len(rooms))

    def take_all(own: UploadRoom, uploading: Upload) -> int:
        taken = 0
        start.wait()
        with contextlib.suppress(ServiceError):
            while True:
                own.reserve(uploading, piece)
                taken += piece
        uploading.reserved_bytes = taken  # a refused one would give its room back
        return taken

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(rooms)) as threads:
        received = [stack.enter_context(receiving(each)) for each in rooms]
        taken = sum(threads.map(take_all, rooms, received))
    ahead = limit // 256
    assert limit - len(rooms) * (ahead + piece) < taken <= limit


def test_an_upload_that_could_not_be_claimed_takes_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = room(25_600)
    assert own._shared is not None
    with receiving(own) as upload:

        def fail(receiving: object) -> None:
            raise StoreError("The database does not answer.")

        with monkeypatch.context() as broken:
            broken.setattr(own._shared, "put", fail)
            with pytest.raises(StoreError):
                own.reserve(upload, 1)
        own._checkpoints.bytes = 25_600  # type: ignore[attr-defined]
        with pytest.raises(ServiceError, match="uploads in progress take 0, and 1 more"):
            own.reserve(upload, 1)


def test_each_replica_lists_all_uploads(postgresql_url: str, s3: S3Server, tmp_path: Path) -> None:
    url = s3.new_url()

    def start(name: str) -> TestClient:
        settings = Settings(home=tmp_path / name, database_url=postgresql_url, files_url=url)
        return TestClient(create_app(settings, lambda *_: NoEngine()))

    with start("one") as one, start("other") as other:
        own = one.app.state.services.weight_imports.room  # type: ignore[attr-defined]
        assert one.portal is not None
        upload, ending = Upload("some", 200, 100), asyncio.Event()

        async def receive() -> None:
            with own.receiving(upload):
                await ending.wait()

        running = one.portal.start_task_soon(receive)
        listed = {"id": "some", "size_bytes": 200, "received_bytes": 100, "state": "receiving"}
        for client in (one, other):
            poll(lambda client=client: client.get("/v1/weights").json()["uploads"] == [listed])
        upload.received_bytes, upload.state = 200, "reading"
        listed |= {"received_bytes": 200, "state": "reading"}
        poll(lambda: other.get("/v1/weights").json()["uploads"] == [listed])
        one.portal.call(ending.set)
        running.result()
        assert one.get("/v1/weights").json()["uploads"] == []
        poll(lambda: other.get("/v1/weights").json()["uploads"] == [])
