"""Backups of a home, and homes that are made from them."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings
from app.store import backups
from app.store.backups import MANIFEST, Copied, back_up, restore
from app.store.builds import Build, BuildStore
from app.store.calibrations import Calibration
from app.store.models import ModelStore, VersionRecord
from app.store.sqlite import FILE_NAME, SqliteDatabase
from model_zoo import HomeLock, ZooError
from model_zoo.cli import main

USED, UNUSED, GONE = "a" * 64, "b" * 64, "c" * 64


def checkpoint(home: Path, checkpoint_id: str) -> Path:
    return home / "checkpoints" / f"{checkpoint_id}.safetensors"


def add(store: BuildStore, name: str, checkpoint_id: str) -> None:
    spec = {"weights": {"source": "checkpoint", "id": checkpoint_id}}
    store.add([Build(name, "lenet", spec, {"warnings": []})])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BuildStore]:
    """The builds of a home with two checkpoints, open as a service has it."""
    with closing(SqliteDatabase(tmp_path / "home", Settings().store_wait)) as database:
        (tmp_path / "home" / "checkpoints").mkdir()
        for checkpoint_id in (USED, UNUSED):
            checkpoint(tmp_path / "home", checkpoint_id).write_bytes(checkpoint_id.encode())
        store = BuildStore(database)
        add(store, "build", USED)
        yield store


@pytest.fixture
def backup(store: BuildStore, tmp_path: Path) -> Path:
    back_up(tmp_path / "home", tmp_path / "backup")
    return tmp_path / "backup"


def refusal(call: Callable[..., object], *arguments: Path) -> str:
    with pytest.raises(ZooError) as refused:
        call(*arguments)
    return str(refused.value)


def test_a_restored_home_has_the_builds_and_the_checkpoints(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    size = (backup / FILE_NAME).stat().st_size
    assert restore(backup, home) == Copied(2, size + 128)
    with closing(SqliteDatabase(home, Settings().store_wait)) as database:
        build = BuildStore(database).get("build")
    assert build is not None
    assert build.spec["weights"] == {"source": "checkpoint", "id": USED}
    for checkpoint_id in (USED, UNUSED):
        assert checkpoint(home, checkpoint_id).read_bytes() == checkpoint_id.encode()


def test_what_is_only_in_the_log_is_backed_up_and_a_copy_of_the_file_lacks_it(
    store: BuildStore, tmp_path: Path
) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy.sqlite"
    back_up(home, tmp_path / "backup")
    shutil.copy(home / FILE_NAME, copy)
    tables = []
    for path in (tmp_path / "backup" / FILE_NAME, copy):
        with closing(sqlite3.connect(path)) as connection:
            tables.append(
                {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            )
    assert "builds" in tables[0]
    assert "builds" not in tables[1]


def test_a_checkpoint_that_is_removed_with_its_build_meanwhile_breaks_nothing(
    store: BuildStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is one that comes, and one that no build uses and that goes."""
    snapshot = backups._snapshot

    def then_change(database: Path, target: Path) -> set[str]:
        needed = snapshot(database, target)
        if store.remove("build"):
            checkpoint(tmp_path / "home", USED).unlink()
            checkpoint(tmp_path / "home", GONE).write_bytes(b"new")
            add(store, "later", GONE)
        else:
            checkpoint(tmp_path / "home", UNUSED).unlink(missing_ok=True)
        return needed

    monkeypatch.setattr(backups, "_snapshot", then_change)
    assert back_up(tmp_path / "home", tmp_path / "backup").missing == ()
    restore(tmp_path / "backup", tmp_path / "restored")
    with closing(SqliteDatabase(tmp_path / "restored", Settings().store_wait)) as database:
        builds = BuildStore(database).list(architecture=None, before=None, limit=9)
    assert [build.id for build in builds] == ["later"]
    folder = tmp_path / "restored" / "checkpoints"
    assert {path.stem for path in folder.iterdir()} == {GONE}


def test_a_checkpoint_that_was_missing_before_is_told(
    store: BuildStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path / "home", USED).unlink()
    home, target = str(tmp_path / "home"), str(tmp_path / "backup")
    assert main(["home", "backup", target, "--home", home]) == 0
    out, err = capsys.readouterr()
    size = (tmp_path / "backup" / FILE_NAME).stat().st_size + 64
    assert out == f"{target}: the database and 1 imported checkpoint, {size:,} bytes\n"
    assert err.splitlines()[1:] == [
        f"warning: {home} has builds with weights of {USED}, and not these weights. Import their "
        "file again."
    ]


def test_the_rows_that_calibrate_versions_are_backed_up_and_others_are_not(
    store: BuildStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    (home / "calibrations").mkdir()
    for digest in (USED, UNUSED):
        (home / "calibrations" / f"{digest}.npy").write_bytes(b"rows")
    with closing(SqliteDatabase(home, Settings().store_wait)) as database:
        models = ModelStore(database)
        for name, digest in (("fast", USED), ("faster", USED), ("lost", GONE)):
            version = VersionRecord(name, 1, "build", precision="int8")
            models.add(replace(version, calibration=Calibration(digest, 16)))
    assert main(["home", "backup", str(target), "--home", str(home)]) == 0
    out, err = capsys.readouterr()
    size = (target / FILE_NAME).stat().st_size + 2 * 64 + 4
    summary = f"the database and 2 imported checkpoints and 1 calibration, {size:,} bytes"
    assert out == f"{target}: {summary}\n"
    assert err.splitlines()[1:] == [
        f"warning: {home} has versions in int8 that the rows {GONE} calibrate, and not these rows. "
        "PUT the versions again."
    ]
    restored = restore(target, tmp_path / "restored")
    assert (restored.checkpoints, restored.calibrations, restored.bytes) == (2, 1, size)
    folder = tmp_path / "restored" / "calibrations"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {f"{USED}.npy": b"rows"}


def test_a_backup_that_fails_leaves_nothing(
    store: BuildStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_sync", full)
    target = tmp_path / "backup"
    assert refusal(back_up, tmp_path / "home", target) == f"{target}: No space left on device."
    assert list(target.iterdir()) == []


def test_a_target_with_something_in_it_is_left_alone(store: BuildStore, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").touch()
    message = f"{tmp_path / 'target'} exists, and is not an empty folder."
    assert refusal(back_up, tmp_path / "home", tmp_path / "target") == message
    assert refusal(back_up, tmp_path / "none", tmp_path / "other") == (
        f"{tmp_path / 'none'} is no home of a service: it has no {FILE_NAME}."
    )
    assert not (tmp_path / "other").exists()


def lose_manifest(backup: Path) -> str:
    (backup / MANIFEST).unlink()
    return (
        f"{backup} is no complete backup: its {MANIFEST} cannot be read (No such file or "
        "directory)."
    )


def lose_checkpoint(backup: Path) -> str:
    checkpoint(backup, USED).unlink()
    return f"{backup} is incomplete: checkpoints/{USED}.safetensors is missing."


def cut_manifest(backup: Path) -> str:
    text = (backup / MANIFEST).read_text()
    (backup / MANIFEST).write_text(text[:-5])
    return f"{backup} is damaged: {MANIFEST}: Input data was truncated."


def leave_the_folder(backup: Path) -> str:
    text = (backup / MANIFEST).read_text()
    (backup / MANIFEST).write_text(text.replace(f"checkpoints/{USED}", "../../outside"))
    return f"{backup} is damaged: {MANIFEST}: it lists '../../outside.safetensors'."


def come_from_later(backup: Path) -> str:
    text = (backup / MANIFEST).read_text()
    (backup / MANIFEST).write_text(text.replace('"format": 1', '"format": 2'))
    return (
        f"{backup} has format 2, of version {backups.VERSION} of the service; this one reads "
        "format 1."
    )


def change_a_byte(backup: Path) -> str:
    content = b"A" + USED[1:].encode()
    checkpoint(backup, USED).write_bytes(content)
    return (
        f"{backup} is damaged: checkpoints/{USED}.safetensors has the digest "
        f"{hashlib.sha256(content).hexdigest()} and 64 bytes; it was backed up with "
        f"{hashlib.sha256(USED.encode()).hexdigest()} and 64."
    )


@pytest.mark.parametrize(
    "damage",
    [
        lose_manifest,
        lose_checkpoint,
        cut_manifest,
        leave_the_folder,
        come_from_later,
        change_a_byte,
    ],
)
def test_a_backup_that_is_not_whole_is_refused_and_the_home_stays_empty(
    backup: Path, tmp_path: Path, damage: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    message, home = damage(backup), tmp_path / "restored"
    assert main(["home", "restore", str(backup), "--home", str(home)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"model-zoo: {message}"
    assert not home.exists() or [path.name for path in home.iterdir()] == ["lock"]


def test_a_home_with_something_in_it_is_left_alone(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "restored"
    home.mkdir()
    (home / "notes").touch()
    assert refusal(restore, backup, home) == (
        f"{home} is not empty: it has notes. Restore into a new folder, or move these away."
    )
    assert [path.name for path in home.iterdir()] == ["notes"]


def test_a_home_that_is_in_use_is_left_alone(backup: Path, tmp_path: Path) -> None:
    with closing(HomeLock(tmp_path / "restored")):
        message = refusal(restore, backup, tmp_path / "restored")
    assert message.startswith(f"{tmp_path / 'restored'} is in use by process ")


def test_a_restore_after_one_that_was_killed_succeeds(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "restored"
    (home / "tmp-left" / "checkpoints").mkdir(parents=True)
    (home / "lock").touch()
    restore(backup, home)
    names = {FILE_NAME, "calibrations", "checkpoints", "lock"}
    assert {path.name for path in home.iterdir()} == names
