"""A PostgreSQL server of our own: made for the test run, reached through a socket in its folder, thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import create_engine

from tests.requirements import postgres

# Tests kill the server, not the machine, so what it wrote need not reach the disk.
SETTINGS = ("fsync=off", "listen_addresses=", "max_connections=100", "log_min_messages=warning")


class PostgresServer:
    """A cluster in a temporary folder. The server refuses to run as root, so root lends it another user."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = _server_user()
        self.folder = Path(tempfile.mkdtemp(prefix="cml-postgres-"))
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", "--username=cml", "--encoding=UTF8", "--no-locale", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start and wait until it answers; what an unclean end left is put right by the server itself."""
        options = " ".join(
            f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.folder}")
        )
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "start", "--wait", "--timeout=60", f"--options={options}", f"--log={log}")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is as good as a crash: connections break, nothing is written down."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def processes(self) -> list[int]:
        """Of the server and of everyone who is connected: the one that all others come from is first."""
        first = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [first.pid, *(child.pid for child in first.children(recursive=True))]

    def url(self, database: str) -> str:
        """What an event store is opened with."""
        return f"postgresql+psycopg://cml@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside any transaction; returns its rows, if it has any."""
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.exec_driver_sql(statement)
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            engine.dispose()

    def new_database(self, *options: str) -> str:
        """Name of a fresh, empty database."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(" ".join((f"CREATE DATABASE {name}", *options)))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def close(self) -> None:
        """Stop it, if it runs, and remove everything."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self.folder / 'data'}", *arguments]
        with (self.folder / "commands.log").open("w") as log:  # no pipe: the server would hold it open
            done = subprocess.run(
                command, user=self._user, cwd=self.folder, stdout=log, stderr=log, timeout=120, check=False
            )
        said = (self.folder / "commands.log").read_text()
        assert done.returncode == 0, f"{' '.join(command)}: {said}"


def _server_user() -> str | None:
    """Debian's package makes the user `postgres`; None: the user who runs the tests."""
    if os.geteuid() != 0:
        return None
    return next((name for name in ("postgres", "nobody") if _exists(name)), None)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests that only need databases of their own."""
    yield from _started()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server for one test alone, which may stop and start it."""
    yield from _started()


def _started() -> Iterator[PostgresServer]:
    programs = postgres()
    if programs is None:
        pytest.skip("no PostgreSQL server found: install postgresql")
    server = PostgresServer(programs)
    yield server
    server.close()


@pytest.fixture
def postgres_databases(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes fresh databases and tells their URLs."""
    made: list[str] = []

    def make() -> str:
        server = request.getfixturevalue("postgres_server")
        made.append(server.new_database())
        return server.url(made[-1])

    yield make
    for database in made:
        request.getfixturevalue("postgres_server").drop(database)


@pytest.fixture
def postgres_url(postgres_databases: Callable[[], str]) -> str:
    """URL of a fresh database."""
    return postgres_databases()


STORES = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(params=STORES)
def any_events_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty event store, in each kind of database that can be one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    return request.getfixturevalue("postgres_url")
