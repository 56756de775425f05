"""One database under the event store: its transactions, opened when they are needed, and what their failures mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from cml.errors import EventStoreError
from cml.events import schema
from cml.events.database import SQLITE, SameFile, open_engine
from cml.events.identity import complaint, identify, note
from cml.events.lookout import Lookout, lookout

WRITER_LOCK = 0x636D6C  # PostgreSQL: one writer at a time, so that numbers become visible in order
_SCARCE = 1 << 20  # bytes; with less on its disk SQLite may be unable to write, and even to open


class Transactions:
    """Blocks with a connection: reading, writing, asking. Each raises EventStoreError when the database fails.

    With `wait_for_server` a server that cannot be reached yet is no error; each block tries again to open it.
    """

    def __init__(self, url: str, *, wait_for_server: bool = False) -> None:
        self._engine = open_engine(url)
        self.dialect = self._engine.dialect.name
        self._is_sqlite = self.dialect == SQLITE
        self._failures: tuple[type[Exception], ...] = (
            SQLAlchemyError,
            self._engine.dialect.loaded_dbapi.Error,
            OSError,
        )
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._lookout = lookout(self._reader)
        self._migrated = False
        self._number = 0  # of an SQLite file
        self.complaint: str | None = None  # where another SQLite file was here before
        self._file = SameFile(self._engine)
        try:
            self._migrate()
        except EventStoreError as error:
            if self._is_sqlite or not (wait_for_server and isinstance(error.__cause__, OperationalError)):
                raise

    def __str__(self) -> str:
        """The URL without its password."""
        return self._engine.url.set(query={}).render_as_string(hide_password=True)

    def close(self) -> None:
        """Close every connection; nothing may be asked afterwards."""
        self._lookout.close()
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction of the one writer."""
        self._require_migrated()
        with self._written() as connection:
            yield connection

    @contextmanager
    def rewriting(self) -> Iterator[Connection]:
        """One transaction of the one writer, for as long as it takes: everyone else's events wait meanwhile."""
        self._require_migrated()
        with self._written(patient=True) as connection:
            yield connection
        self.forget_log()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose every statement sees what is committed by then."""
        self._require_migrated()
        with self._told("read"):
            self._file.require()
            with self._reader.connect() as connection:
                yield connection

    @contextmanager
    def viewing(self) -> Iterator[Connection]:
        """A connection that sees everything as it is now, for as long as it takes, and holds no writer up."""
        self._require_migrated()
        with self._told("read"):
            self._file.require()
        with self._told("read", besides=OSError):  # those of the block are about other files
            if self._is_sqlite:
                with self._reader.connect() as connection:
                    connection.exec_driver_sql("BEGIN DEFERRED")
                    try:
                        yield connection
                    finally:
                        connection.exec_driver_sql("ROLLBACK")
            else:
                with self._engine.connect() as connection:
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                    connection.execute(text("SET TRANSACTION READ ONLY"))
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                    yield connection

    @contextmanager
    def asking(self) -> Iterator[Lookout]:
        """The questions that come before every answer; for one thread."""
        self._require_migrated()
        with self._told("read"):
            self._file.require()
            yield self._lookout

    @contextmanager
    def probing(self) -> Iterator[Lookout]:
        """The same questions over a connection of their own, for any thread."""
        self._require_migrated()
        probe = lookout(self._reader)
        with self._told("read"):
            self._file.require()
            yield probe
            probe.close()

    def accept(self) -> None:
        """Take an SQLite file for the one that belongs here, whatever was here before."""
        if self._file.path is not None:
            with self._told("written"):
                note(self._file.path, self._number)
            self.complaint = None

    def forget_log(self) -> None:
        """Move SQLite's write-ahead log into the database file and empty it: erased rows must not linger there."""
        if self._is_sqlite:
            with self.reading() as connection:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def _require_migrated(self) -> None:
        if not self._migrated:
            self._migrate()

    def _migrate(self) -> None:
        with self._written(patient=True) as connection:
            schema.migrate(connection)
            if self._file.path is not None:
                self._number = identify(connection)
        self._file.remember()
        self._migrated = True
        if self._file.path is not None:
            with self._told("written"):
                self.complaint = complaint(self._file.path, self._number)

    @contextmanager
    def _written(self, *, patient: bool = False) -> Iterator[Connection]:
        with self._told("written"):
            if self._migrated:
                self._file.require()  # before a connection to a file that is gone would make an empty one
            with self._engine.begin() as connection:
                if patient and not self._is_sqlite:
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                if not self._is_sqlite:
                    connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
                yield connection
                if self._migrated:
                    self._file.require()  # what is committed can be found again

    @contextmanager
    def _told(self, what: str, besides: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Failures of the database become one sentence."""
        try:
            yield
        except besides:
            raise
        except self._failures as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            raise EventStoreError(
                f"the event store cannot be {what}: {self._placed(cause)}; check the disk, the URL and the permissions"
            ) from error

    def _placed(self, cause: str) -> str:
        """What SQLite leaves out of its reasons: the file, and that its disk has next to no room."""
        path = self._file.path
        if path is None:
            return cause
        named = cause if str(path) in cause else f"{cause} ({path})"
        try:
            found = os.statvfs(path.parent)
        except OSError:
            return named
        free = found.f_bavail * found.f_frsize
        return f"{named}, its disk has {free:,} bytes left" if free < _SCARCE else named
