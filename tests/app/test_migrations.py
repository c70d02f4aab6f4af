"""The tables of an earlier release become today's, in SQLite at the start, in PostgreSQL when told.

That what was in them is answered as before is in test_homes.py.
"""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import homes
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgresql import PASSWORD, Postgresql

from app.settings import Settings
from app.store import postgresql as on_postgresql
from app.store.errors import StoreError
from app.store.migrations import configuration
from app.store.postgresql import PostgresqlDatabase
from app.store.schema import SCHEMA_VERSION, VERSION_TABLE
from app.store.sqlite import FILE_NAME, SqliteDatabase
from app.store.tables import metadata
from model_zoo import HomeLock
from model_zoo.cli import main

WAIT = Settings().store_wait


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATABASE_URL", raising=False)


@pytest.fixture
def empty(postgresql: Postgresql) -> Iterator[str]:
    """The name of a database without tables."""
    name = postgresql.create(template="template1")
    yield name
    postgresql.drop(postgresql.url(name))


def differences(engine: sa.Engine) -> list[Any]:
    """Return in what the tables of a database differ from their definitions in the stores."""
    try:
        with engine.connect() as connection:
            options = {"version_table": VERSION_TABLE}
            context = MigrationContext.configure(connection, opts=options)
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def catalogue(path: Path) -> set[tuple[str, str]]:
    """Return the tables of a SQLite file, and the text that made each."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}


def migrated(path: Path, to: str = "head") -> None:
    """Make a SQLite file by migrations alone."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(configuration(connection), to)
    engine.dispose()


def test_the_version_of_the_schema_is_the_last_migration() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert scripts.get_current_head() == f"{SCHEMA_VERSION:04}"


def test_an_empty_home_has_the_tables_that_all_migrations_make(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path, WAIT).close()
    migrated(tmp_path / "migrated.sqlite")
    assert catalogue(tmp_path / FILE_NAME) == catalogue(tmp_path / "migrated.sqlite")
    assert differences(sa.create_engine(f"sqlite:///{tmp_path / FILE_NAME}")) == []


@pytest.mark.parametrize("release", homes.RELEASES)
def test_a_home_of_an_earlier_release_has_todays_tables(release: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(homes.HOMES / release / homes.HOME, home)
    SqliteDatabase(home, WAIT).close()
    assert differences(sa.create_engine(f"sqlite:///{home / FILE_NAME}")) == []
    SqliteDatabase(home, WAIT).close()
    with closing(sqlite3.connect(home / FILE_NAME)) as connection:
        version = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    assert version == [(f"{SCHEMA_VERSION:04}",)]


def test_a_migration_that_fails_leaves_the_home_as_it_was(tmp_path: Path) -> None:
    migrated(tmp_path / FILE_NAME, to="0001")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE sweep_leases (something_else)")  # which 0002 creates last
        connection.commit()
    before = catalogue(tmp_path / FILE_NAME)
    with pytest.raises(StoreError) as refusal:
        SqliteDatabase(tmp_path, WAIT)
    assert str(refusal.value) == (
        f"{tmp_path / FILE_NAME} cannot be used: table sweep_leases already exists."
    )
    assert catalogue(tmp_path / FILE_NAME) == before


def test_a_service_on_a_current_home_does_not_import_alembic(tmp_path: Path) -> None:
    """Nor PostgreSQL's driver; nor does one on a home that it makes."""
    code = (
        "import sys; from pathlib import Path; import app.main; "
        "from app.settings import Settings; from app.store.opening import open_database; "
        f"settings = Settings(home=Path({str(tmp_path)!r})); "
        "open_database(settings).close(); open_database(settings).close(); "
        "print([each for each in ('alembic', 'psycopg') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_postgresql_has_the_tables_of_the_stores(postgresql: Postgresql, empty: str) -> None:
    url = postgresql.url(empty)
    assert on_upgrade(url) == (
        f"The PostgreSQL database {empty} on {postgresql.folder} had no tables of the service, and "
        "has schema 3 now."
    )
    assert differences(on_postgresql.engine(url, 5)) == []
    assert on_upgrade(url) == (
        f"The PostgreSQL database {empty} on {postgresql.folder} has schema 3 already."
    )


def on_upgrade(url: str) -> str:
    from app.store.opening import upgrade_postgresql

    return upgrade_postgresql(url)


def older(postgresql: Postgresql, name: str) -> None:
    """Give a database the tables of release 0.6."""
    engine = on_postgresql.engine(postgresql.url(name), 5)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0001")
    engine.dispose()


def newer(postgresql: Postgresql, name: str) -> None:
    """Let a database say that a later release wrote it."""
    on_upgrade(postgresql.url(name))
    postgresql.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0099'", name)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (
            lambda postgresql, name: None,
            "has no tables of the service, and this version of the service needs schema 3: run "
            "model-zoo home upgrade.",
        ),
        (
            older,
            "has schema 1, and this version of the service needs schema 3: run model-zoo home "
            "upgrade.",
        ),
        (
            newer,
            "was written by a newer version of the service (schema 99; this one supports 3).",
        ),
    ],
    ids=["empty", "older", "newer"],
)
def test_postgresql_with_other_tables_is_refused_in_one_line(
    postgresql: Postgresql,
    empty: str,
    prepare: Callable[[Postgresql, str], None],
    sentence: str,
) -> None:
    prepare(postgresql, empty)
    with pytest.raises(StoreError) as refusal:
        PostgresqlDatabase(postgresql.url(empty), WAIT)
    assert str(refusal.value) == (
        f"The PostgreSQL database {empty} on {postgresql.folder} {sentence}"
    )


def test_the_command_upgrades_what_the_service_then_uses(
    postgresql: Postgresql,
    empty: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    older(postgresql, empty)
    monkeypatch.setenv("ZOO_DATABASE_URL", postgresql.url(empty))
    assert main(["home", "upgrade"]) == 0
    assert capsys.readouterr().out == (
        f"The PostgreSQL database {empty} on {postgresql.folder} had schema 1, and has schema 3 "
        "now.\n"
    )
    PostgresqlDatabase(postgresql.url(empty), WAIT).close()


def test_tables_of_somebody_else_are_left_alone(
    postgresql: Postgresql,
    empty: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postgresql.execute("CREATE TABLE models (something_else text)", empty)
    monkeypatch.setenv("ZOO_DATABASE_URL", postgresql.url(empty))
    assert main(["home", "upgrade"]) == 1
    assert capsys.readouterr().err == (
        f"model-zoo: The PostgreSQL database {empty} on {postgresql.folder} cannot be upgraded: "
        'relation "models" already exists\n'
    )
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgresql.execute(query, empty) == [("models",)]


def test_the_command_upgrades_a_home_that_no_service_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(homes.HOMES / "release_0_1_0" / homes.HOME, tmp_path / "home")
    home = str(tmp_path / "home")
    assert main(["home", "upgrade", "--home", home]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'home' / FILE_NAME} has schema 3.\n"
    lock = HomeLock(tmp_path / "home")
    assert main(["home", "upgrade", "--home", home]) == 1
    lock.close()
    assert main(["home", "upgrade", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"model-zoo: {tmp_path} is no home of a service: it has no {FILE_NAME}."
    )


def test_a_backup_of_a_home_does_not_stand_for_one_of_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    SqliteDatabase(tmp_path / "home", WAIT).close()
    monkeypatch.setenv("ZOO_DATABASE_URL", f"postgresql://zoo:{PASSWORD}@db/zoo")
    command_line = ["home", "backup", str(tmp_path / "backup"), "--home", str(tmp_path / "home")]
    assert main(command_line) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "model-zoo: ZOO_DATABASE_URL is set, and a database of PostgreSQL is in no home: back it "
        "up with pg_dump."
    )
