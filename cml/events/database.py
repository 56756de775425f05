"""Opening the event store's database by URL: SQLite by default, PostgreSQL with its driver installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cml.errors import EventStoreError, MissingExtraError

_BUSY_MILLISECONDS = 10_000


def open_engine(url: str) -> Engine:
    """An engine whose transactions are durable when they end; nothing is created but the database file.

    Raises EventStoreError for a URL that is malformed, in memory or of another kind of database.
    """
    parsed = _checked(url)
    try:
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"event store {parsed!r}: {error.name} is missing: pip install 'cml-recommender[postgres]'"
        ) from None
    except SQLAlchemyError as error:
        raise EventStoreError(f"{parsed!r}: not usable as an event store: {error}") from None
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise EventStoreError(
            f"event store {url!r}: not a database URL; for example sqlite:////data/events.db"
        ) from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise EventStoreError(f"event store {parsed!r}: {backend} is not supported; use sqlite or postgresql")
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise EventStoreError(
                "an event store in memory would forget what it acknowledged; give sqlite a file"
            )
        if not Path(parsed.database).absolute().parent.is_dir():
            raise EventStoreError(f"event store {parsed!r}: its directory does not exist; create it first")
    return parsed


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when the power fails
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: one that reads first and writes later could be refused midway."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
