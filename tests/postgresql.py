"""A PostgreSQL server in a folder of its own, and databases in it."""

import ctypes
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from app.settings import Settings
from app.store import opening

USER, PASSWORD = "zoo", "s3cret/of@the:zoo"
# As a URL has it.
_ESCAPED = "s3cret%2Fof%40the%3Azoo"
_TEMPLATE = "zoo_template"
_PR_SET_PDEATHSIG = 1
# A server that holds nothing for longer than a test runs.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}


def programs() -> Path:
    """Return the folder of the server's programs.

    Where there is none, the test is skipped; in continuous integration, it fails.
    """
    initdb = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2])
    if initdb is None and not folders:
        missing = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return Path(initdb).parent if initdb else folders[-1]


class Postgresql:
    """The server, run by a user that is not root, as it demands; ended with this process."""

    def __init__(self) -> None:
        self._programs = programs()
        # Not in pytest's folder, which that user cannot enter.
        self.folder = Path(tempfile.mkdtemp(prefix="zoo-postgresql-"))
        self._user = "nobody" if os.getuid() == 0 else None
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            for path in (self.folder, password):
                shutil.chown(path, self._user)
        subprocess.run(
            [
                self._programs / "initdb",
                *("--pgdata", self.folder / "data", "--username", USER),
                *("--pwfile", password, "--auth", "scram-sha-256"),
                *("--no-sync", "--locale", "C.UTF-8", "--encoding", "UTF8"),
            ],
            check=True,
            capture_output=True,
            user=self._user,
            cwd="/",
        )
        self._databases = 0
        self.start()
        self.create(_TEMPLATE, template="template1")
        opening.upgrade_postgresql(self.url(_TEMPLATE))

    def url(self, database: str = "postgres", password: str = _ESCAPED) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{password}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        data, log = self.folder / "data", (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", data, "-k", self.folder, *settings],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                preexec_fn=_end_with_parent,
            )
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                continue
            return

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its connections, SIGQUIT is as if it crashed."""
        self._process.send_signal(by)
        self._process.wait(60)

    def suspend(self) -> None:
        """Let all processes of the server stand still, their connections open."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        for pid in [self._process.pid, *map(int, Path(children).read_text().split())]:
            os.kill(pid, number)

    def create(self, name: str | None = None, template: str = _TEMPLATE) -> str:
        """Create a database, by default with today's tables; return its name."""
        self._databases += 1
        name = name or f"zoo_{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, url: str) -> None:
        """Drop the database of a URL, whoever uses it."""
        name = urlsplit(url).path[1:]
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Return the rows of a statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Stop the server, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)


def settings(url: str, home: Path, **more: object) -> Settings:
    """Return the settings of a replica."""
    return Settings(database_url=url, home=home, **more)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _end_with_parent() -> None:
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
