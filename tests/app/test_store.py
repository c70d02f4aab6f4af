"""What the store keeps, and when it refuses."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from app.settings import Settings
from app.store.builds import Build, BuildStore
from app.store.errors import StoreError
from app.store.files import WeightFile, WeightFiles
from app.store.sqlite import FILE_NAME, SqliteDatabase


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path, Settings().store_wait).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("UPDATE zoo_schema_version SET version_num = '0004'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError) as refusal:
        SqliteDatabase(tmp_path, Settings().store_wait)
    assert str(refusal.value) == (
        f"{tmp_path / FILE_NAME} was written by a newer version of the service (schema 4; this one "
        "supports 3)."
    )


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError) as refusal:
        SqliteDatabase(tmp_path, Settings().store_wait)
    assert str(refusal.value) == (f"{tmp_path / FILE_NAME} cannot be used: file is not a database.")


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as refusal:
        SqliteDatabase(tmp_path / "file" / "home", Settings().store_wait)
    assert str(refusal.value) == f"{tmp_path / 'file' / 'home'} cannot be created: Not a directory."


def test_a_database_that_goes_away_is_an_error_fit_for_a_client(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path, Settings().store_wait)
    store = BuildStore(database)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("DROP TABLE builds")
    connection.close()
    with pytest.raises(StoreError) as refusal:
        store.add([Build("a", "lenet", {}, {"warnings": []})])
    assert str(refusal.value) == "The database cannot be read or written now."
    database.close()


def weight_file(files: WeightFiles, build: str, size: int) -> Path:
    path = files.folder / f"{build}.abc.npz"
    path.write_bytes(b"x" * size)
    return path


def read(file: WeightFile) -> bytes:
    """Return the bytes of a file, as an answer has them."""
    content = file.open()

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in content.chunks(0, content.size)])

    try:
        return asyncio.run(whole())
    finally:
        content.close()


def test_the_longest_unused_files_are_forgotten_above_the_limit(tmp_path: Path) -> None:
    files = WeightFiles(tmp_path, max_bytes=250)
    paths = [weight_file(files, name, 100) for name in ("one", "two", "three")]
    assert files.find("one", ".npz") is not None  # used last
    files.keep("three", ".npz", paths[2], "abc")
    assert [path.exists() for path in paths] == [True, False, True]


def test_a_file_larger_than_the_limit_is_kept_for_who_asked_for_it(tmp_path: Path) -> None:
    files = WeightFiles(tmp_path, max_bytes=10)
    path = weight_file(files, "one", 100)
    files.keep("one", ".npz", path, "abc")
    assert path.exists()


def test_a_file_is_found_by_build_and_format(tmp_path: Path) -> None:
    files = WeightFiles(tmp_path, max_bytes=1000)
    path = weight_file(files, "one", 1)
    found = files.find("one", ".npz")
    assert found is not None
    assert (read(found), found.sha256) == (b"x", "abc")
    assert files.find("one", ".keras") is None
    assert files.find("on", ".npz") is None
    options = files.folder / "one.abd.opset-17.npz"
    options.write_bytes(b"yz")
    path.unlink()
    assert files.find("one", ".npz") is None
    other = files.find("one", ".opset-17.npz")
    assert other is not None
    assert (read(other), other.sha256) == (b"yz", "abd")
    files.remove("one")
    assert files.find("one", ".opset-17.npz") is None
