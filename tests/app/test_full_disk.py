"""On a full disk nothing can be added, and everything can be deleted, which makes room."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from app.store.builds import Build, BuildStore
from app.store.errors import StoreError
from app.store.reserve import FILE_NAME, RESERVED_BYTES
from app.store.sqlite import SqliteDatabase


def fill(home: Path) -> None:
    """Take all room of a disk; return the file that has it."""
    with (home / "filler").open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            return


def build(number: int) -> Build:
    return Build(f"{number}", "lenet", {}, {"warnings": ["long" * 1000]})


def check(home: Path) -> None:
    """Fill the disk of a home, and use the store then."""
    database = SqliteDatabase(home, Settings().store_wait)
    store = BuildStore(database)
    store.add([build(number) for number in range(50)])
    fill(home)
    with pytest.raises(StoreError) as refusal:
        store.add([build(number) for number in range(50, 100)])
    assert str(refusal.value) == "The database cannot be written: its disk is full."
    for number in range(50):
        assert store.remove(f"{number}")
    assert store.list(architecture=None, before=None, limit=9) == []
    (home / "filler").unlink()
    store.add([build(number) for number in range(50)])
    assert store.remove("0")
    database.close()
    # The room is kept again, for the next time.
    database = SqliteDatabase(home, Settings().store_wait)
    assert (home / FILE_NAME).stat().st_size == RESERVED_BYTES
    database.close()


def test_builds_can_be_deleted_on_a_full_disk(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=12m tmpfs {tmp_path}"
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    script = f"{mount} && exec {sys.executable} {__file__} {tmp_path}"
    done = subprocess.run([*apart, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    check(Path(sys.argv[1]))
