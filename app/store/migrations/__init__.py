"""Upgrades of the tables of earlier releases, by Alembic.

A change of tables is a module in `versions`, whose number is the version of the schema that it
makes; `app.store.schema.SCHEMA_VERSION` is that of the last.
"""

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app.store.schema import SCHEMA_VERSION, read_version

log = logging.getLogger(__name__)


def upgrade(connection: sa.Connection) -> None:
    """Give a database today's tables, in the transaction that has begun."""
    before = read_version(connection)
    # Of each step, which says nothing more to an operator than the line below.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(configuration(connection), "head")
    log.info("The database is upgraded from schema %s to %s.", before or "0", SCHEMA_VERSION)


def configuration(connection: sa.Connection | None = None) -> Config:
    """Return Alembic's configuration, which has no file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
