"""Locks that end with their process: of unfinished files, and of a home."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_zoo import HomeInUseError, HomeLock, remove_abandoned, scratch_folder

_SCRATCH = """
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "upload-0").write_bytes(b"x")
    print(folder.name, flush=True)
    sys.stdin.read()
"""
_HOME = """
lock = HomeLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(code: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a process that takes a lock; yield it, and the line that it prints then."""
    imports = (
        "import sys\nfrom pathlib import Path\nfrom model_zoo import HomeLock, scratch_folder\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", imports + code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_scratch_folder_goes_at_the_end_whether_or_not_the_work_succeeds(tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        (folder / "file").touch()
        raise KeyError

    with pytest.raises(KeyError), scratch_folder(tmp_path) as folder:
        work(folder)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_live_one_stays(
    tmp_path: Path,
) -> None:
    with holder(_SCRATCH, tmp_path) as (killed, _), holder(_SCRATCH, tmp_path) as (_, kept):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert len(list(tmp_path.iterdir())) == 2
        remove_abandoned(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [kept]
        assert (tmp_path / kept / "upload-0").read_bytes() == b"x"


def test_a_home_is_held_by_one_process_until_it_ends(tmp_path: Path) -> None:
    with holder(_HOME, tmp_path / "home") as (first, said):
        assert said == "locked"
        with pytest.raises(HomeInUseError) as refusal:
            HomeLock(tmp_path / "home")
        assert str(refusal.value) == f"{tmp_path / 'home'} is in use by process {first.pid}."
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        HomeLock(tmp_path / "home").close()


def test_a_home_that_is_given_back_can_be_taken_again(tmp_path: Path) -> None:
    HomeLock(tmp_path).close()
    lock = HomeLock(tmp_path)
    with pytest.raises(HomeInUseError):
        HomeLock(tmp_path)
    lock.close()
