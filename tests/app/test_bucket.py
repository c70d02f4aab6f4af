"""A bucket: what it stores is whole, what it reads is what was stored, and what can go wrong."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from buckets import WAIT, FaultyProxy, S3Server, proxied, replace
from zoo_server import ROOT, poll

from app.settings import Limit, Settings, SettingsError
from app.store.bucket import PIECE_BYTES, Bucket, DamagedError, StoredObject
from app.store.errors import StoreError
from app.store.file_places import open_place
from app.store.local_copies import LocalCopies

pytestmark = pytest.mark.heavy

# The last of three pieces is short.
CONTENT = os.urandom(2 * PIECE_BYTES + 1000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
# For requests that are not answered: others may take their time.
SHORT = Limit(0.5, "ZOO_FILES_TIMEOUT_S")
NOT_DELETED = b"""<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error>
<Key>%b/key</Key><Code>%b</Code><Message>none</Message></Error></DeleteResult>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return (tmp_path / "bucket").as_uri()
    s3: S3Server = request.getfixturevalue("s3")
    return s3.new_url()


@pytest.fixture
def bucket(url: str) -> Bucket:
    return Bucket(url, WAIT)


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with proxied(s3) as proxy:
        for name, value in s3.environment(proxy.port).items():
            monkeypatch.setenv(name, value)
        yield proxy


def test_a_file_of_several_pieces_comes_back_as_it_was(
    bucket: Bucket, file: Path, tmp_path: Path
) -> None:
    bucket.upload("a/b", file, DIGEST)
    stored = bucket.find("a/b")
    assert stored is not None
    assert (stored.key, stored.size) == ("a/b", len(CONTENT))
    bucket.fetch(stored, tmp_path / "copy", DIGEST)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert b"".join(bucket.pieces(stored, 10, 2_000_010, 700_000)) == CONTENT[10:2_000_010]


def test_a_folder_lists_its_own_objects(bucket: Bucket) -> None:
    for key in ("a/1", "a/b/2", "ab/3"):
        assert bucket.create(key, b"x")
    assert sorted(each.key for each in bucket.objects("a")) == ["a/1", "a/b/2"]
    assert bucket.objects("none") == []
    bucket.remove("a/1")
    bucket.remove("a/1")
    assert [each.key for each in bucket.objects("a")] == ["a/b/2"]
    assert (bucket.read("a/1"), bucket.find("a/1")) == (None, None)


def test_the_first_to_create_an_object_is_the_only_one(bucket: Bucket) -> None:
    assert bucket.create("key", b"first")
    assert not bucket.create("key", b"second")
    assert bucket.read("key") == b"first"


def test_a_file_that_changes_before_it_is_stored_is_not_stored(bucket: Bucket, file: Path) -> None:
    for content in (CONTENT[:-1], b"short"):
        file.write_bytes(content)
        with pytest.raises(DamagedError) as refusal:
            bucket.upload("key", file, DIGEST)
        assert str(refusal.value) == (
            f"A file changed before it was stored; its digest was {DIGEST}."
        )
        assert bucket.find("key") is None


@pytest.mark.parametrize("altered", [CONTENT[:-1], b"x" + CONTENT[1:]], ids=["truncated", "other"])
def test_a_copy_of_another_content_is_not_made(
    url: str, bucket: Bucket, tmp_path: Path, altered: bytes
) -> None:
    replace(url, "key", altered)
    stored = bucket.find("key")
    assert stored is not None
    copies = LocalCopies((tmp_path / "home",), 10**9)
    with pytest.raises(DamagedError) as refusal:
        copies.fetch(bucket, stored, tmp_path / "home" / "copy", DIGEST)
    actual = hashlib.sha256(altered).hexdigest()
    assert str(refusal.value) == f"key in the bucket is damaged: its digest is {actual}."
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"x" + CONTENT[1:]], ids=["removed", "replaced"])
def test_an_object_that_changes_while_it_is_read_is_not_mixed(
    url: str, bucket: Bucket, file: Path, data: bytes
) -> None:
    bucket.upload("key", file, DIGEST)
    stored = bucket.find("key")
    assert stored is not None
    pieces = bucket.pieces(stored, 0, stored.size)
    next(pieces)
    replace(url, "key", data)
    with pytest.raises(StoreError) as refusal:
        next(pieces)
    assert str(refusal.value) == "key was removed or replaced during the request; try again."


def test_an_upload_whose_end_is_not_heard_of_is_complete(
    s3: S3Server, proxy: FaultyProxy, file: Path
) -> None:
    """obstore gives it up then, of which the bucket says that there is no such upload."""
    bucket = Bucket(s3.new_url(), WAIT)
    proxy.fault = "lost"
    bucket.upload("key", file, DIGEST)
    assert proxy.methods[-2:] == ["DELETE", "HEAD"]
    assert bucket.read("key") == CONTENT
    assert bucket.why_lost() is None


def test_an_object_that_somebody_else_has_deleted_is_deleted(
    s3: S3Server, proxy: FaultyProxy
) -> None:
    """Some servers say of each object that it was not there."""
    url = s3.new_url()
    bucket, prefix = Bucket(url, WAIT), urlsplit(url).path[1:].encode()
    proxy.fault = NOT_DELETED % (prefix, b"NoSuchKey")
    bucket.remove("key")
    assert bucket.why_lost() is None
    proxy.fault = NOT_DELETED % (prefix, b"AccessDenied")
    with pytest.raises(StoreError) as refusal:
        bucket.remove("key")
    assert str(refusal.value) == FAULTS[403]


FAULTS = {
    403: "The bucket of ZOO_FILES_URL refuses access.",
    500: "The bucket of ZOO_FILES_URL reports an error.",
    "hang": "The bucket of ZOO_FILES_URL does not answer; a request ends after 0.5 s "
    "(ZOO_FILES_TIMEOUT_S).",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_bucket_is_said_without_its_secrets(
    s3: S3Server,
    proxy: FaultyProxy,
    file: Path,
    fault: int | str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = s3.new_url()
    assert Bucket(url, WAIT).create("key", b"x")
    stored = Bucket(url, WAIT).find("key")
    assert stored is not None
    bucket = Bucket(url, SHORT if fault == "hang" else WAIT)
    proxy.fault = fault
    for call in (
        lambda: bucket.objects("a"),
        lambda: bucket.find("key"),
        lambda: bucket.read("key"),
        lambda: bucket.create("other", b"x"),
        lambda: bucket.upload("file", file, DIGEST),
        lambda: list(bucket.pieces(stored, 0, 1)),
        lambda: bucket.remove("key"),
    ):
        with pytest.raises(StoreError) as refusal:
            call()
        assert str(refusal.value) == FAULTS[fault]
        assert bucket.why_lost() == FAULTS[fault]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # the first alone
    assert "secret" not in caplog.text
    proxy.fault = None
    poll(lambda: bucket.why_lost() is None)
    assert Bucket(url, WAIT).read("key") == b"x"


def test_an_answer_that_is_cut_off_is_not_taken_for_the_whole(
    s3: S3Server, proxy: FaultyProxy, file: Path, tmp_path: Path
) -> None:
    bucket = Bucket(s3.new_url(), WAIT)
    bucket.upload("key", file, DIGEST)
    stored = bucket.find("key")
    assert stored is not None
    proxy.fault = "cut"
    with pytest.raises(StoreError) as refusal:
        bucket.fetch(stored, tmp_path / "copy", DIGEST)
    assert str(refusal.value) == FAULTS["hang"].replace("0.5 s", "10 s")


def test_a_bucket_that_is_not_there_is_not_an_empty_one(s3: S3Server) -> None:
    bucket = Bucket("s3://no-such-bucket/x", WAIT)
    stored = StoredObject("key", 1, "tag", datetime.now(UTC))
    for call in (
        lambda: bucket.read("key"),
        lambda: bucket.objects("a"),
        lambda: list(bucket.pieces(stored, 0, 1)),
        lambda: bucket.remove("key"),
    ):
        with pytest.raises(StoreError) as refusal:
            call()
        assert str(refusal.value) == "The bucket of ZOO_FILES_URL does not exist."


def test_a_bucket_that_answers_again_is_noticed_without_a_request(
    s3: S3Server, proxy: FaultyProxy
) -> None:
    proxy.fault = 500
    bucket = Bucket(s3.new_url(), WAIT)
    bucket.check()
    poll(lambda: bucket.why_lost() is not None)
    proxy.fault = None
    poll(lambda: bucket.why_lost() is None)


def test_what_is_transferred_ends_with_the_service(s3: S3Server, file: Path) -> None:
    bucket = Bucket(s3.new_url(), WAIT)
    bucket.upload("key", file, DIGEST)
    stored = bucket.find("key")
    assert stored is not None
    pieces = bucket.pieces(stored, 0, stored.size)
    next(pieces)
    bucket.close()
    with pytest.raises(StoreError) as refusal:
        next(pieces)
    assert str(refusal.value) == "The service is stopping."
    with pytest.raises(StoreError):
        bucket.upload("other", file, DIGEST)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "/srv/files",
            "ZOO_FILES_URL must begin with s3://, gs:// or az://, and name a bucket and any prefix "
            "in it; received 'no scheme'.",
        ),
        (
            "https://example.com/x",
            "ZOO_FILES_URL must begin with s3://, gs:// or az://, and name a bucket and any prefix "
            "in it; received 'https'.",
        ),
        (
            "az://container/x",
            "ZOO_FILES_URL cannot be used: Generic MicrosoftAzure error: Account must be "
            "specified.",
        ),
        (
            "s3://",
            'ZOO_FILES_URL cannot be used: Generic URL error: Unable to recognise URL "s3://".',
        ),
    ],
)
def test_a_url_that_names_no_bucket_is_refused_at_the_start(url: str, message: str) -> None:
    with pytest.raises(StoreError) as refusal:
        Bucket(url, WAIT)
    assert str(refusal.value) == message


# Local copies ---------------------------------------------------------------------------------


def write(path: Path, size: int, used: int) -> Path:
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


def test_the_copies_used_last_stay_and_those_in_use(tmp_path: Path) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    copies = LocalCopies(folders, 250)
    old, held, new = (
        write(folder / name, 100, used)
        for folder, name, used in ((folders[0], "1", 1), (folders[1], "2", 2), (folders[0], "3", 3))
    )
    with copies.hold(held) as is_there:
        assert is_there
        os.utime(held, (0, 0))
        copies.prune(100)
        assert (old.exists(), held.exists(), new.exists()) == (False, True, False)
    copies.prune(250)
    assert not held.exists()
    with copies.hold(held) as is_there:
        assert not is_there


def test_one_fetch_of_a_file_runs_at_a_time(tmp_path: Path, file: Path) -> None:
    bucket = Bucket((tmp_path / "bucket").as_uri(), WAIT)
    bucket.upload("key", file, DIGEST)
    stored = bucket.find("key")
    assert stored is not None
    fetches = []
    fetch = bucket.fetch

    def counted(*arguments: object) -> None:
        fetches.append(arguments)
        fetch(*arguments)  # type: ignore[arg-type]

    bucket.fetch = counted  # type: ignore[method-assign]
    copies = LocalCopies((tmp_path / "home",), 10**9)
    path = tmp_path / "home" / "copy"
    threads = [
        threading.Thread(target=copies.fetch, args=(bucket, stored, path, DIGEST)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert len(fetches) == 1
    assert [each.name for each in path.parent.iterdir()] == ["copy"]


def test_a_copy_that_the_disk_has_no_room_for_is_refused_first(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket((tmp_path / "bucket").as_uri(), WAIT)
    bucket.upload("key", file, DIGEST)
    stored = bucket.find("key")
    assert stored is not None
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=stored.size - 1))
    copies = LocalCopies((tmp_path / "home",), 10**9)
    with pytest.raises(StoreError) as refusal:
        copies.fetch(bucket, stored, tmp_path / "home" / "copy", DIGEST)
    assert str(refusal.value) == "The disk reported an error: No space left on device."
    assert list((tmp_path / "home").iterdir()) == []


# The extra ------------------------------------------------------------------------------------


def test_without_the_extra_the_start_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("app.store.bucket")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError) as refusal:
        open_place(Settings(home=tmp_path, files_url="s3://bucket/x"))
    assert str(refusal.value) == (
        "ZOO_FILES_URL needs the extra shared: pip install 'model-zoo-service[shared]'."
    )


def test_without_a_url_nothing_of_it_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys, app.main\n"
        "from app.settings import Settings\n"
        "app.main.create_app(Settings(home=sys.argv[1]))\n"
        "print([name for name in sys.modules if 'obstore' in name or 'bucket' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr
