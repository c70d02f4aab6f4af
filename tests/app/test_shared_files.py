"""Two services with a home each and one bucket: files of one are files of both."""

import asyncio
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buckets import FaultyProxy, S3Server, contents, proxied, replace
from fake_worker import Calls, obey, run_with
from starlette.testclient import TestClient
from test_http_checkpoints import LENET, lenet_weights, upload
from test_http_weights import CONTENT, TAG, Writer
from zoo_server import NoEngine, build, poll, problem

from app.compute.local_engine import LocalEngine
from app.compute.messages import Load
from app.engine import ModelRef, Reply
from app.main import create_app
from app.settings import Limit, Settings
from app.store.backups import back_up, restore
from app.store.bucket import Bucket
from app.store.bucket_calibrations import BucketCalibrations
from app.store.bucket_checkpoints import BucketCheckpoints
from app.store.bucket_place import BucketPlace
from app.store.errors import StoreError
from app.store.local_copies import LocalCopies
from app.tasks import SaveWeights, Specs
from model_zoo import BuildSpec, ZooError

pytestmark = pytest.mark.heavy  # each upload is read by a process of its own

Replica = Callable[..., TestClient]
REFUSED = "The bucket of ZOO_FILES_URL refuses access."


@pytest.fixture
def url(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in the bucket, which all services of a test have."""
    url = s3.new_url()
    monkeypatch.setenv("ZOO_FILES_URL", url)
    return url


@pytest.fixture
def replica(url: str, tmp_path: Path) -> Iterator[Replica]:
    """Return a function that starts a service with a home of that name."""
    with ExitStack() as clients:

        def start(name: str, engine: Any = None, **settings: Any) -> TestClient:
            made = engine or NoEngine()
            app = create_app(Settings(home=tmp_path / name, **settings), lambda *_: made)
            return clients.enter_context(TestClient(app))

        yield start


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with proxied(s3) as proxy:
        for name, value in s3.environment(proxy.port).items():
            monkeypatch.setenv(name, value)
        yield proxy


def refusal(response: Any) -> str:
    found = problem(response)
    assert (found["status"], found["type"]) == (503, "/docs#problem-store-unavailable")
    detail: str = found["detail"]
    return detail


# Checkpoints ----------------------------------------------------------------------------------


def test_weights_that_one_has_both_have(replica: Replica, url: str, tmp_path: Path) -> None:
    one, other = replica("one"), replica("other")
    data = lenet_weights()
    weights = upload(one, data, "?name=lenet")
    body = one.get(f"/v1/weights/{weights}").json()
    assert other.get(f"/v1/weights/{weights}").json() == body
    assert other.get("/v1/weights").json() == one.get("/v1/weights").json()
    again = other.post("/v1/weights?name=again", content=data)
    assert (again.status_code, again.json()) == (200, body)
    source = {"source": "checkpoint", "id": weights}
    made = other.post("/v1/builds", json={**LENET, "weights": source})
    assert (made.status_code, made.json()["restore"]["share"]) == (201, 1)
    # Names and shapes are all that a plan needs.
    assert not list((tmp_path / "other" / "copies" / "checkpoints").iterdir())
    stored = contents(url)
    (tensors,) = (key for key in stored if key.endswith(".safetensors"))
    assert tensors == f"checkpoints/{weights}/{hashlib.sha256(stored[tensors]).hexdigest()}" + (
        ".safetensors"
    )
    assert set(stored) == {tensors, f"checkpoints/{weights}/record.json"}


def test_weights_that_one_deletes_are_gone_for_both_at_once(
    replica: Replica, url: str, tmp_path: Path
) -> None:
    one, other = replica("one"), replica("other")
    weights = upload(one, lenet_weights())
    assert other.get("/v1/weights").json()["weights"] != []
    assert other.delete(f"/v1/weights/{weights}").status_code == 204
    source = {"source": "checkpoint", "id": weights}
    for client in (one, other):
        assert client.get("/v1/weights").json()["weights"] == []
        assert problem(client.get(f"/v1/weights/{weights}"))["status"] == 404
        found = problem(client.post("/v1/builds", json={**LENET, "weights": source}))
        assert found["detail"] == f"/weights/id: There is no imported checkpoint '{weights}'."
    assert contents(url) == {}
    assert not list((tmp_path / "one" / "copies" / "checkpoints").iterdir())
    assert other.post("/v1/weights", content=lenet_weights()).status_code == 201
    assert one.get(f"/v1/weights/{weights}").status_code == 200


def test_of_two_uploads_of_the_same_at_once_the_first_is_taken(
    replica: Replica, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = replica("one"), replica("other")
    data = lenet_weights()
    create, answers = Bucket.create, []

    def create_too_late(bucket: Bucket, key: str, record: bytes) -> bool:
        if not answers:  # the other is done just before this one
            answers.append(None)
            answers[0] = other.post("/v1/weights?name=first", content=data)
        return create(bucket, key, record)

    monkeypatch.setattr(Bucket, "create", create_too_late)
    late = one.post("/v1/weights?name=late", content=data)
    assert (answers[0].status_code, late.status_code) == (201, 200)
    assert late.json() == answers[0].json()
    assert len(contents(url)) == 2


def test_both_have_one_limit(replica: Replica) -> None:
    data, more = lenet_weights(), lenet_weights(conv1_biases=np.ones(32, np.float32))
    one, other = (replica(name, max_checkpoints_bytes=2 * len(data)) for name in ("one", "other"))
    upload(one, data)
    other.get("/v1/weights")
    found = problem(other.post("/v1/weights", content=more))
    assert (found["status"], found["type"]) == (503, "/docs#problem-store-full")


def test_what_a_dead_service_left_of_an_upload_makes_room(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(url, Limit(10.0, "-"))
    store = BucketCheckpoints(tmp_path, bucket, LocalCopies((tmp_path / "checkpoints",), 10**9))
    bucket.create(f"checkpoints/{'0' * 64}/{'1' * 64}.safetensors", b"half")
    bucket.create(f"checkpoints/{'2' * 64}/record.json", b"whole")
    assert store.stored_bytes() == 9  # it may be in progress
    monkeypatch.setattr("app.store.bucket._ABANDONED", timedelta(minutes=-1))
    assert store.stored_bytes() == 5
    assert len(contents(url)) == 1


def test_a_damaged_record_is_said_so(replica: Replica, url: str) -> None:
    client = replica("one")
    key = f"checkpoints/{'0' * 64}/record.json"
    replace(url, key, b"{}")
    message = f"{key} in the bucket is damaged: Object missing required field `document`."
    assert refusal(client.get(f"/v1/weights/{'0' * 64}")) == message
    assert refusal(client.get("/v1/weights")) == message


# What a worker reads --------------------------------------------------------------------------


def stored_lenet(replica: Replica) -> tuple[str, dict[str, Any]]:
    """Return the id of weights in the bucket, and the normalized spec of a build of them."""
    weights = upload(replica("one"), lenet_weights())
    spec = {**LENET, "weights": {"source": "checkpoint", "id": weights}}
    return weights, dict(BuildSpec.read(spec).normalized())


def test_weights_are_there_while_a_worker_loads_them_and_what_it_writes_is_stored(
    replica: Replica, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, spec = stored_lenet(replica)
    path = tmp_path / "two" / "copies" / "checkpoints" / f"{weights}.safetensors"
    seen: list[str] = []

    async def read(task: Any) -> Reply[Any]:
        if isinstance(task, Load | SaveWeights):
            # Nothing else may make room by it meanwhile.
            LocalCopies((path.parent,), 0).prune()
            seen.append(f"{type(task).__name__} {path.stat().st_size > 0}")
        if isinstance(task, SaveWeights):
            return await Writer().run(task)
        return await obey(task)

    async def test(engine: LocalEngine, _calls: Calls) -> None:
        await engine.load(ModelRef("b" * 32, spec, {}))
        LocalCopies((path.parent,), 0).prune()
        assert not path.exists()
        # A build that takes its weights from a build that takes them from the checkpoint.
        other = {**spec, "weights": [{"source": "build", "id": "b" * 32}]}
        await engine.load(ModelRef("c" * 32, other, {"b" * 32: spec}))
        path.unlink()
        specs = Specs.of(spec, {})
        # The folder of an API on another machine.
        await engine.run(SaveWeights("b" * 32, specs, "npz", {}, "/not-there"))

    run_with(monkeypatch, read, test, home=tmp_path / "two")
    assert seen == ["Load True", "Load True", "SaveWeights True"]
    assert contents(url)[f"weights/{'b' * 32}/{TAG[1:-1]}.npz"] == CONTENT


def test_rows_are_there_while_a_worker_calibrates_with_them(url: str, tmp_path: Path) -> None:
    digest = held_rows(calibrations(tmp_path / "one", url, set()))
    place = BucketPlace(Settings(home=tmp_path / "two"))
    path = tmp_path / "two" / "copies" / "calibrations" / f"{digest}.npy"

    async def calibrate() -> None:
        async with place.local([], digest):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
            LocalCopies((path.parent,), 0).prune()
            assert path.exists()
        async with place.local([], "0" * 64):
            pass  # the worker says that they are gone

    asyncio.run(calibrate())
    place.close()


def test_a_load_of_altered_weights_is_refused(
    replica: Replica, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, spec = stored_lenet(replica)
    (key,) = (key for key in contents(url) if key.endswith(".safetensors"))
    replace(url, key, b"something else")
    digest = hashlib.sha256(b"something else").hexdigest()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        with pytest.raises(StoreError) as refusal:
            await engine.load(ModelRef("b" * 32, spec, {}))
        assert str(refusal.value) == f"{key} in the bucket is damaged: its digest is {digest}."
        assert calls == []
        replace(url, key, b"")
        with pytest.raises(StoreError) as refusal:
            await engine.load(ModelRef("b" * 32, spec, {}))
        assert str(refusal.value) == f"{key} is missing from the bucket."

    run_with(monkeypatch, obey, test, home=tmp_path / "two")
    assert not list((tmp_path / "two" / "copies" / "checkpoints").iterdir())


def test_a_cancelled_load_holds_no_copy(replica: Replica, tmp_path: Path) -> None:
    _, spec = stored_lenet(replica)
    place = BucketPlace(Settings(home=tmp_path / "two"))
    fetch, begun, go_on = place._fetch, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> ExitStack:
        begun.set()
        assert go_on.wait(30)
        return fetch(*arguments)

    place._fetch = slowly  # type: ignore[method-assign]

    async def load() -> None:
        async with place.local([spec]):
            raise AssertionError("it was cancelled")

    async def cancelled() -> None:
        loading = asyncio.create_task(load())
        await asyncio.to_thread(begun.wait, 30)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)

    asyncio.run(cancelled())
    go_on.set()
    place.close()
    place._threads.shutdown(wait=True)
    folder = tmp_path / "two" / "copies" / "checkpoints"
    LocalCopies((folder,), 0).prune()
    assert not list(folder.iterdir())


# Weight files ---------------------------------------------------------------------------------


def test_a_weight_file_that_one_made_the_other_sends(
    replica: Replica, url: str, tmp_path: Path
) -> None:
    one, other = replica("one", Writer()), replica("other")
    path = f"/v1/builds/{build(one)}/weights"
    assert one.get(path).content == CONTENT
    build(other)
    whole = other.get(path)
    assert (whole.content, whole.headers["etag"]) == (CONTENT, TAG)
    assert whole.headers["content-length"] == str(len(CONTENT))
    assert other.get(path, headers={"Range": "bytes=10-19"}).content == CONTENT[10:20]
    assert other.head(path).headers["content-length"] == str(len(CONTENT))
    assert other.get(path, headers={"If-None-Match": TAG}).status_code == 304
    assert not list((tmp_path / "other" / "copies" / "weights").iterdir())
    assert set(contents(url)) == {f"weights/{build(one)}/{TAG[1:-1]}.safetensors"}
    assert other.delete(path.removesuffix("/weights")).status_code == 204
    assert contents(url) == {}


def test_an_altered_weight_file_is_not_sent_whole_and_made_again(
    replica: Replica, url: str
) -> None:
    engine = Writer()
    one, other = replica("one", Writer()), replica("other", engine)
    path = f"/v1/builds/{build(one)}/weights"
    one.get(path)
    build(other)
    replace(url, f"weights/{build(one)}/{TAG[1:-1]}.safetensors", CONTENT[:-1] + b"x")
    with pytest.raises(StoreError, match="is damaged"):  # after the head has been sent
        other.get(path)
    assert contents(url) == {}
    assert (other.get(path).content, engine.tasks) == (CONTENT, 1)


def test_the_oldest_weight_files_make_room(replica: Replica, url: str) -> None:
    client = replica("one", Writer(), max_files_bytes=2 * len(CONTENT))
    builds = [build(client, params={"num_classes": number}) for number in (2, 3, 4)]
    for each in builds:
        client.get(f"/v1/builds/{each}/weights")
    stored = {key.split("/")[1] for key in contents(url)}
    assert len(stored) == 2
    assert builds[2] in stored  # the others were stored in the same second


# Calibrations ---------------------------------------------------------------------------------


@contextmanager
def nobody_else() -> Iterator[None]:
    yield


def calibrations(home: Path, url: str, used: set[str]) -> BucketCalibrations:
    copies = LocalCopies((home / "calibrations",), 10**9)
    bucket = Bucket(url, Limit(10.0, "-"))
    return BucketCalibrations(home, used.__contains__, nobody_else, bucket, copies)


def held_rows(files: BucketCalibrations) -> str:
    with files.writing((2,)) as writer:
        writer.add(np.zeros((3, 2), np.float32).tobytes(), 3)
        return files.keep(writer).digest


def test_rows_that_another_removes_before_the_version_is_stored_are_stored_again(
    url: str, tmp_path: Path
) -> None:
    used: set[str] = set()
    one, other = (calibrations(tmp_path / name, url, used) for name in ("one", "other"))
    digest = held_rows(one)
    assert set(contents(url)) == {f"calibrations/{digest}.npy"}
    other.remove_unused(digest)  # it does not see the request of the first
    assert contents(url) == {}
    used.add(digest)
    one.release(digest)
    assert hashlib.sha256(contents(url)[f"calibrations/{digest}.npy"]).hexdigest() == digest
    other.remove_unused(digest)
    assert len(contents(url)) == 1
    used.clear()
    other.remove_unused(digest)
    assert contents(url) == {}


def test_rows_that_no_version_has_are_removed(url: str, tmp_path: Path) -> None:
    files = calibrations(tmp_path, url, set())
    digests = {held_rows(files), held_rows(files)}
    (digest,) = digests
    files.release(digest)
    assert len(contents(url)) == 1
    assert files.stored_bytes() == len(contents(url)[f"calibrations/{digest}.npy"])
    files.release(digest)
    assert contents(url) == {}
    assert not list((tmp_path / "calibrations").iterdir())


# Faults ---------------------------------------------------------------------------------------


def test_while_the_bucket_refuses_nothing_is_acknowledged(
    replica: Replica, url: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    client = replica("one", Writer())
    data = lenet_weights()
    weights = upload(client, data)
    made = build(client)
    assert client.get("/healthz").json()["files"] == {"ready": True, "reason": None}
    proxy.fault = 403
    more = lenet_weights(conv1_biases=np.ones(32, np.float32))
    source = {"source": "checkpoint", "id": weights}
    for response in (
        client.post("/v1/weights", content=more),
        client.get("/v1/weights"),
        client.get(f"/v1/weights/{weights}"),
        client.delete(f"/v1/weights/{weights}"),
        client.post("/v1/builds", json={**LENET, "weights": source}),
        client.get(f"/v1/builds/{made}/weights"),
    ):
        assert refusal(response) == REFUSED
        assert response.headers["retry-after"] == "5"
    health = client.get("/healthz").json()
    assert (health["files"], health["ready"]) == ({"ready": False, "reason": REFUSED}, True)
    assert client.get(f"/v1/builds/{made}/summary").status_code == 200
    proxy.fault = None
    (item,) = client.get("/v1/weights").json()["weights"]
    assert item["id"] == weights
    assert client.get("/healthz").json()["files"]["ready"]
    assert client.get(f"/v1/builds/{made}/weights").content == CONTENT
    assert upload(client, more)
    for folder in ("checkpoints", "weights"):
        assert not list((tmp_path / "one" / "copies" / folder).glob("tmp-*"))


def test_an_upload_that_cannot_be_stored_is_not_acknowledged(
    replica: Replica, url: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = replica("one")
    store, data = Bucket.upload, lenet_weights()

    def refused(*arguments: Any) -> None:
        proxy.fault = 403
        store(*arguments)

    monkeypatch.setattr(Bucket, "upload", refused)
    assert refusal(client.post("/v1/weights", content=data)) == REFUSED
    proxy.fault = None
    assert client.get("/v1/weights").json()["weights"] == []
    assert contents(url) == {}
    monkeypatch.setattr(Bucket, "upload", store)
    assert client.post("/v1/weights", content=data).status_code == 201


def test_a_bucket_that_hangs_holds_up_no_read_of_builds(
    replica: Replica, proxy: FaultyProxy
) -> None:
    client = replica("one", files_timeout_s=60)
    made = build(client)
    proxy.fault = "hang"
    reads = [
        threading.Thread(target=client.get, args=(f"/v1/weights/{'0' * 64}",)) for _ in range(40)
    ]
    before = len(proxy.methods)
    for read in reads:
        read.start()
    poll(lambda: len(proxy.methods) >= before + 8)
    for path in ("", f"/{made}", f"/{made}/summary"):
        assert client.get(f"/v1/builds{path}").status_code == 200
    assert any(read.is_alive() for read in reads)
    proxy.fault = None
    proxy.release()
    for read in reads:
        read.join()


# Backups --------------------------------------------------------------------------------------


def test_a_backup_has_the_files_of_the_bucket_and_is_restored_to_another(
    replica: Replica,
    s3: S3Server,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = replica("home")
    weights = upload(client, lenet_weights())
    made = build(client, weights={"source": "checkpoint", "id": weights})
    unused = upload(client, lenet_weights(conv1_biases=np.ones(32, np.float32)))
    shutil.rmtree(tmp_path / "home" / "copies")  # copies are not what is backed up
    copied = back_up(tmp_path / "home", tmp_path / "backup")
    assert (copied.checkpoints, copied.missing) == (2, ())
    for checkpoint_id in (weights, unused):
        path = tmp_path / "backup" / "checkpoints" / f"{checkpoint_id}.safetensors"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"checkpoints/{checkpoint_id}/{digest}.safetensors" in contents(url)
    monkeypatch.setenv("ZOO_FILES_URL", s3.new_url())
    restore(tmp_path / "backup", tmp_path / "restored")
    assert contents(os.environ["ZOO_FILES_URL"]).keys() == contents(url).keys()
    again = replica("restored")
    assert again.get("/v1/weights").json() == client.get("/v1/weights").json()
    assert again.get(f"/v1/builds/{made}/restore-plan").status_code == 200


def test_weights_that_the_bucket_lost_are_missing_from_a_backup(
    replica: Replica, url: str, tmp_path: Path
) -> None:
    client = replica("home")
    weights = upload(client, lenet_weights())
    build(client, weights={"source": "checkpoint", "id": weights})
    replace(url, f"checkpoints/{weights}/record.json", b"")
    assert back_up(tmp_path / "home", tmp_path / "backup").missing == (weights,)


def test_a_backup_of_a_bucket_that_refuses_leaves_nothing(
    replica: Replica, url: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    upload(replica("home"), lenet_weights())
    proxy.fault = 403
    with pytest.raises(ZooError) as refused:
        back_up(tmp_path / "home", tmp_path / "backup")
    assert str(refused.value) == REFUSED
    assert list((tmp_path / "backup").iterdir()) == []


def test_files_that_a_home_had_before_stay_and_are_said_to_be_unused(
    replica: Replica,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("ZOO_FILES_URL")
    weights = upload(replica("before"), lenet_weights())
    path = tmp_path / "before" / "checkpoints" / f"{weights}.safetensors"
    shutil.copytree(path.parent, tmp_path / "after" / "checkpoints")
    monkeypatch.setenv("ZOO_FILES_URL", url)
    client = replica("after")
    assert problem(client.get(f"/v1/weights/{weights}"))["status"] == 404
    assert (tmp_path / "after" / "checkpoints" / path.name).exists()
    assert [record.getMessage() for record in caplog.records if "own" in record.getMessage()] == [
        "ZOO_HOME has checkpoints of its own, which are not used: ZOO_FILES_URL is set. `model-zoo "
        "home backup` and `restore` move them to the bucket."
    ]
