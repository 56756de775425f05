"""Opening the event store's database by URL: SQLite by default, PostgreSQL with its driver installed."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cml.errors import EventStoreError, MissingExtraError

SQLITE, POSTGRES = "sqlite", "postgresql"
# How long a writer waits for another one's lock. Those who queued up behind it may wait as long once more, and
# should hear what is wrong before their answer is due (the service's `answer_timeout`).
_BUSY_MILLISECONDS = 4_000
_OPENING_SECONDS = 10.0  # how long several that open a new file at once wait for each other
_RETRY_SECONDS = 0.01
# What libpq is told unless the URL says otherwise. A server that is gone is noticed within seconds.
_POSTGRES_QUERY = {
    "connect_timeout": "3",  # seconds
    "tcp_user_timeout": "5000",  # milliseconds until data that nobody confirms breaks the connection
    "keepalives_idle": "10",  # seconds
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "application_name": "cml",
}
# No statement holds a request up for longer, and a writer that froze in the middle of its transaction loses
# it, so that the others get the lock. The URL's own `options` come later and win.
_POSTGRES_OPTIONS = "-c statement_timeout=10s -c idle_in_transaction_session_timeout=10s"


def open_engine(url: str) -> Engine:
    """An engine whose transactions are durable when they end; nothing is created but the database file.

    Raises EventStoreError for a URL that is malformed, in memory or of another kind of database.
    """
    parsed = _checked(url)
    is_sqlite = parsed.get_backend_name() == SQLITE
    # A snapshot taken before the writer's lock is held would miss what the writer before has committed.
    isolation: dict[str, Any] = {} if is_sqlite else {"isolation_level": "READ COMMITTED"}
    try:
        engine = create_engine(parsed, pool_pre_ping=not is_sqlite, **isolation)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"event store {parsed!r}: {error.name} is missing: pip install 'cml-recommender[postgres]'"
        ) from None
    except SQLAlchemyError as error:
        raise EventStoreError(f"{parsed!r}: not usable as an event store: {error}") from None
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgres)
    return engine


class SameFile:
    """Notices when SQLite's file is gone or another one took its place.

    A process that holds the old file open would write into what no name leads to any more, and SQLite with a
    write-ahead log does not notice: the event would be acknowledged and lost.
    """

    def __init__(self, engine: Engine) -> None:
        path = engine.url.database or ""
        named_by_uri = path.startswith("file:")
        self.path = None if engine.dialect.name != SQLITE or named_by_uri else Path(path).absolute()
        self._opened: tuple[int, int] | None = None

    def remember(self) -> None:
        """The file that is there now is the one. Call it when it was opened."""
        self._opened = self._found()

    def require(self) -> None:
        """Raises OSError unless the file is the one that was opened. Costs a stat."""
        if self._found() != self._opened:
            raise OSError(
                f"{self.path} is gone, or another file took its place; put the file back, or restart what uses it"
            )

    def _found(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return found.st_dev, found.st_ino


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise EventStoreError(
            f"event store {_without_password(url)!r}: not a database URL; for example sqlite:////data/events.db"
        ) from None
    backend = parsed.get_backend_name()
    if backend == SQLITE:
        _check_file(parsed)
    elif backend in (POSTGRES, "postgres"):
        return _for_psycopg(parsed)
    else:
        raise EventStoreError(f"event store {parsed!r}: {backend} is not supported; use sqlite or postgresql")
    return parsed


def _without_password(url: str) -> str:
    return re.sub(r"//.*@", "//***@", url)


def _check_file(parsed: URL) -> None:
    if not parsed.database or parsed.database == ":memory:":
        raise EventStoreError(
            "an event store in memory would forget what it acknowledged; give sqlite a file"
        )
    if not Path(parsed.database).absolute().parent.is_dir():
        raise EventStoreError(f"event store {parsed!r}: its directory does not exist; create it first")


def _for_psycopg(parsed: URL) -> URL:
    """The URL with our driver, whichever it names, and with our time-outs where it has none."""
    given = dict(parsed.query)
    options = given.get("options", "")
    query = _POSTGRES_QUERY | given | {"options": f"{_POSTGRES_OPTIONS} {options}".strip()}
    return parsed.set(drivername="postgresql+psycopg", query=query)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when the power fails
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _use_write_ahead_log(cursor: Any) -> None:
    """Several that open a file of another journal mode at once would each have to wait for the others, so
    SQLite refuses all but one at once, whatever the busy timeout; later they find the mode as it should be."""
    deadline = time.monotonic() + _OPENING_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: one that reads first and writes later could be refused midway."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_postgres(connection: Any, _record: object) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise EventStoreError(
            f"event store {connection.info.dbname!r}: its encoding is {encoding}, which cannot hold every id; "
            "make the database with ENCODING 'UTF8' TEMPLATE template0"
        )
    with connection.cursor() as cursor:
        # Where somebody turned it off, a crash of the server would take acknowledged events with it.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
