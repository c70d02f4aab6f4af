"""Opens the database that the settings name, and upgrades one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa

from app.extras import extra
from app.settings import Settings, SettingsError, load_settings
from app.store import schema
from app.store.database import Database
from app.store.errors import StoreError
from app.store.sqlite import FILE_NAME, SqliteDatabase
from model_zoo import HomeLock, ZooError

# For the locks that services hold, and for changes of large tables.
_UPGRADE_WAIT_S = 600.0


def open_database(settings: Settings) -> Database:
    """Return the database: PostgreSQL's if it has a URL, else SQLite's in ZOO_HOME.

    Raises: StoreError if it cannot be used; SettingsError if psycopg is not installed.
    """
    if settings.database_url is None:
        return SqliteDatabase(settings.home, settings.store_wait)
    url = settings.database_url.get_secret_value()
    database: Database = _postgresql().PostgresqlDatabase(url, settings.store_wait)
    return database


def upgrade(home: Path) -> str:
    """Give the database of a service today's tables; return what became of it, as a sentence.

    It is PostgreSQL's if ZOO_DATABASE_URL is set, else that of a home which no service uses.
    Raises: ZooError if that cannot be done.
    """
    with _as_zoo_errors():
        settings = load_settings()
        if settings.database_url is not None:
            return upgrade_postgresql(settings.database_url.get_secret_value())
        path = home / FILE_NAME
        if not path.is_file():
            raise ZooError(f"{home} is no home of a service: it has no {FILE_NAME}.")
        lock = HomeLock(home)
        try:
            SqliteDatabase(home, settings.store_wait).close()
        finally:
            lock.close()
        return f"{path} has schema {schema.SCHEMA_VERSION}."


def upgrade_postgresql(url: str) -> str:
    """Give a PostgreSQL database today's tables; return what became of it, as a sentence.

    Whoever upgrades it at the same time waits, and so does a service that writes.
    Raises: StoreError if that cannot be done.
    """
    from app.store import migrations  # imports Alembic, which takes time

    database = _postgresql()
    engine = database.engine(url, _UPGRADE_WAIT_S)
    try:
        with engine.begin() as connection:
            database.lock(connection)  # another may be upgrading it, and then has done it
            before = schema.read_version(connection)
            schema.check_not_newer(database.described(url), before)
            if before != schema.SCHEMA_VERSION:
                migrations.upgrade(connection)
    except sa.exc.DBAPIError as error:
        message = f"{database.described(url)} cannot be upgraded: {database.one_line(error)}"
        raise StoreError(message) from error
    finally:
        engine.dispose()
    if before == schema.SCHEMA_VERSION:
        return f"{database.described(url)} has schema {before} already."
    had = "no tables of the service" if before is None else f"schema {before}"
    return f"{database.described(url)} had {had}, and has schema {schema.SCHEMA_VERSION} now."


def _postgresql() -> ModuleType:
    with extra("shared", "ZOO_DATABASE_URL"):
        from app.store import postgresql
    return postgresql


@contextlib.contextmanager
def _as_zoo_errors() -> Iterator[None]:
    try:
        yield
    except (StoreError, SettingsError, OSError) as error:
        raise ZooError(str(error)) from error
