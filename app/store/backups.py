"""Backups of ZOO_HOME, made while its service runs, and homes that are made from them.

A backup is a folder: the database, the imported checkpoints, the rows that calibrate versions, and
a manifest with the digests of all, which is written last. The weight files of builds are left out,
as they can be written again. With ZOO_FILES_URL, checkpoints and rows come from its bucket, and are
restored to it.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.settings import Settings, variable
from app.store.backup_files import (
    CHECKPOINT_SUFFIX,
    CHECKPOINTS,
    FOLDERS,
    BackupFiles,
    FileRecord,
    HomeFiles,
    copy_file,
)
from app.store.calibrations import FOLDER as CALIBRATIONS
from app.store.calibrations import SUFFIX as CALIBRATION_SUFFIX
from app.store.database import now
from app.store.errors import StoreError
from app.store.schema import VERSION_TABLE, check_not_newer
from app.store.sources import checkpoint_ids
from app.store.sqlite import FILE_NAME
from app.version import VERSION
from model_zoo import HomeLock, ZooError, remove_abandoned, scratch_folder

MANIFEST = "manifest.json"
_FORMAT = 1
_NAME = re.compile(
    rf"{re.escape(FILE_NAME)}|{CHECKPOINTS}/[0-9a-f]{{64}}{re.escape(CHECKPOINT_SUFFIX)}"
    rf"|{CALIBRATIONS}/[0-9a-f]{{64}}{re.escape(CALIBRATION_SUFFIX)}"
)
# What an empty home may have: its lock, and what a file system has of its own.
_NO_CONTENT = {HomeLock.FILE_NAME, "lost+found"}
# Snapshots until none needs a checkpoint that is removed before it is copied.
_ATTEMPTS = 10
_LOCK_SECONDS = 30.0
_MAX_NAMED = 5
_DATABASE_URL, _FILES_URL = variable("database_url"), variable("files_url")


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a backup holds: its files by their paths."""

    format: int
    service: str
    created: str
    files: dict[str, FileRecord]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied; `missing` are checkpoints that builds need and the home does not have.

    So are `missing_calibrations` what versions need.
    """

    checkpoints: int
    bytes: int
    missing: tuple[str, ...] = ()
    calibrations: int = 0
    missing_calibrations: tuple[str, ...] = ()


def back_up(home: Path, target: Path) -> Copied:
    """Copy a home into a new or empty folder; its service may run and write meanwhile.

    Whatever the service confirmed before is in the copy.
    Raises: ZooError if the home cannot be read, or the folder not be written; or if the service
    has its database elsewhere.
    """
    if os.environ.get(_DATABASE_URL):
        raise ZooError(
            f"{_DATABASE_URL} is set, and a database of PostgreSQL is in no home: back it up with "
            "pg_dump."
        )
    if not (home / FILE_NAME).is_file():
        raise ZooError(f"{home} is no home of a service: it has no {FILE_NAME}.")
    with _errors_of(target):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ZooError(f"{target} exists, and is not an empty folder.")
        target.mkdir(parents=True, exist_ok=True)
        try:
            files, missing = _copy(home, _files_of(home), target)
            manifest = Manifest(_FORMAT, VERSION, now(), files)
            unfinished = target / f"{MANIFEST}.part"
            unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            _sync(unfinished)
            unfinished.replace(target / MANIFEST)
            _sync(target)
        except BaseException:
            for path in target.iterdir():  # it was empty
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise
    return _summary(files, missing)


def restore(source: Path, home: Path) -> Copied:
    """Make a home of a backup; until all of it is there and checked, the home stays empty.

    Raises: ZooError if the backup is incomplete or damaged, if the home is in use or has anything
    in it, or if it cannot be written.
    """
    manifest = _read_manifest(source)
    with _errors_of(home), _held(home), scratch_folder(home) as scratch:
        for name in FOLDERS:
            (scratch / name).mkdir()
        needed, free = sum(each.bytes for each in manifest.files.values()), _free(home)
        if needed > free:
            raise ZooError(f"The backup has {needed} bytes, and {home} has room for {free}.")
        for name, record in manifest.files.items():
            try:
                copied = copy_file(source / name, scratch / name)
            except FileNotFoundError:
                raise ZooError(f"{source} is incomplete: {name} is missing.") from None
            if copied != record:
                raise ZooError(
                    f"{source} is damaged: {name} has the digest {copied.sha256} and "
                    f"{copied.bytes} bytes; it was backed up with {record.sha256} and "
                    f"{record.bytes}."
                )
        with _connected(scratch / FILE_NAME) as connection:
            _check(connection, source / FILE_NAME)
        # The database comes last: a home that has it is whole.
        _files_of(home).take(scratch)
        (scratch / FILE_NAME).rename(home / FILE_NAME)
        _sync(home)
    return _summary(manifest.files)


def _files_of(home: Path) -> BackupFiles:
    """Return the files of a home's service, which ZOO_FILES_URL may have in a bucket.

    Raises: StoreError if the bucket cannot be used.
    """
    url = os.environ.get(_FILES_URL)
    if not url:
        return HomeFiles(home)
    from app.store.bucket_backup import BucketFiles  # obstore is an extra

    return BucketFiles(url, Settings.model_construct().files_wait)


def _copy(home: Path, source: BackupFiles, target: Path) -> tuple[dict[str, FileRecord], set[str]]:
    """Copy the database and the files; return the files by their paths, and what is missing.

    A file that the database needs cannot be removed, so one that is not there any more was removed
    with what needed it after the snapshot: the next one does not need it.
    """
    for name in FOLDERS:
        (target / name).mkdir()
    copied: dict[str, FileRecord] = {}
    missing: set[str] = set()
    for _ in range(_ATTEMPTS):
        before = missing
        needed = _snapshot(home / FILE_NAME, target / FILE_NAME)
        for path in needed | source.checkpoints():
            if path not in copied:
                with contextlib.suppress(FileNotFoundError):
                    copied[path] = source.copy(path, target / path)
        missing = needed - copied.keys()
        if missing <= before:
            break
    else:
        raise ZooError(f"{home} changes faster than it can be copied; try again later.")
    for path in copied.keys() - needed:
        if not source.exists(path):  # deleted meanwhile
            (target / path).unlink()
            del copied[path]
    for name in FOLDERS:
        _sync(target / name)
    return {FILE_NAME: _record(target / FILE_NAME), **dict(sorted(copied.items()))}, missing


def _snapshot(database: Path, target: Path) -> set[str]:
    """Copy the database as it is at one moment; return the paths of the files that it needs."""
    target.unlink(missing_ok=True)
    with _connected(database) as source, _connected(target, create=True) as copy:
        _check_version(source, database)
        source.backup(copy)  # in one step, so that no write makes it begin anew
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
        _check(copy, database)
        specs = copy.execute("SELECT spec FROM builds").fetchall()
        # A database of an older release has no calibrations.
        tables = copy.execute("SELECT name FROM sqlite_master WHERE name = 'calibrations'")
        digests = copy.execute("SELECT digest FROM calibrations") if tables.fetchone() else ()
        calibrations = {f"{CALIBRATIONS}/{digest}{CALIBRATION_SUFFIX}" for (digest,) in digests}
    _sync(target)
    ids = {each for (spec,) in specs for each in checkpoint_ids(json.loads(spec))}
    return calibrations | {f"{CHECKPOINTS}/{each}{CHECKPOINT_SUFFIX}" for each in ids}


@contextlib.contextmanager
def _connected(database: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    mode = "rwc" if create else "rw"
    try:
        with contextlib.closing(
            sqlite3.connect(
                f"{database.absolute().as_uri()}?mode={mode}", uri=True, timeout=_LOCK_SECONDS
            )
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ZooError(f"{database} cannot be used: {error}.") from error


def _check(connection: sqlite3.Connection, database: Path) -> None:
    _check_version(connection, database)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ZooError(f"{database} is damaged: {verdict}.")


def _check_version(connection: sqlite3.Connection, database: Path) -> None:
    own = connection.execute("SELECT name FROM sqlite_master WHERE name = ?", (VERSION_TABLE,))
    version = None  # of releases that had no migrations
    if own.fetchone():
        (version,) = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    try:
        check_not_newer(database, version and int(version))
    except StoreError as error:
        raise ZooError(str(error)) from error


def _read_manifest(source: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise ZooError(
            f"{source} is no complete backup: its {MANIFEST} cannot be read ({error.strerror})."
        ) from error
    except msgspec.DecodeError as error:
        raise ZooError(f"{source} is damaged: {MANIFEST}: {error}.") from error
    if manifest.format != _FORMAT:
        raise ZooError(
            f"{source} has format {manifest.format}, of version {manifest.service} of the "
            f"service; this one reads format {_FORMAT}."
        )
    unknown = [name for name in manifest.files if not _NAME.fullmatch(name)]
    if unknown or FILE_NAME not in manifest.files:
        which = f"it lists {unknown[0]!r}" if unknown else f"it does not list {FILE_NAME}"
        raise ZooError(f"{source} is damaged: {MANIFEST}: {which}.")
    return manifest


@contextlib.contextmanager
def _held(home: Path) -> Iterator[None]:
    """Hold an empty home, so that no service starts on it meanwhile."""
    was_there = home.exists() and any(home.iterdir())
    if was_there and not (home / HomeLock.FILE_NAME).exists():
        raise _not_empty(home)
    lock = HomeLock(home)
    try:
        remove_abandoned(home)
        if {path.name for path in home.iterdir()} - _NO_CONTENT:
            raise _not_empty(home)
        yield
    finally:
        lock.close()


def _not_empty(home: Path) -> ZooError:
    names = sorted({path.name for path in home.iterdir()} - _NO_CONTENT)
    more = ", ..." if len(names) > _MAX_NAMED else ""
    return ZooError(
        f"{home} is not empty: it has {', '.join(names[:_MAX_NAMED])}{more}. Restore into a new "
        "folder, or move these away."
    )


@contextlib.contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ZooError(f"{error.filename or folder}: {error.strerror or error}.") from error
    except StoreError as error:
        raise ZooError(str(error)) from error


def _record(path: Path) -> FileRecord:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileRecord(stream.tell(), digest)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _summary(files: dict[str, FileRecord], missing: set[str] | None = None) -> Copied:
    total = sum(record.bytes for record in files.values())
    checkpoints, calibrations = (_in_folder(name, files) for name in FOLDERS)
    lost, lost_calibrations = (_in_folder(name, missing or ()) for name in FOLDERS)
    return Copied(len(checkpoints), total, lost, len(calibrations), lost_calibrations)


def _in_folder(name: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the files in a folder, in order."""
    return tuple(sorted(Path(path).stem for path in paths if path.startswith(f"{name}/")))
