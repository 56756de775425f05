"""The questions that come before every answer: has anyone committed anything, is there anything of this user?

Each way of asking keeps one connection, past the layers that cost more than such questions, and serves one
thread. Either raises what its driver raises, or OSError.
"""

from __future__ import annotations

import select
import time
from collections.abc import Hashable
from typing import Any, Protocol

from sqlalchemy import Engine

from cml.events.database import SQLITE

PATIENCE = 2.0  # seconds that an answer waits for a server that has taken the question and says nothing


_PREPARED = {
    b"cml_newest": b"SELECT (SELECT max(sequence) FROM events), (SELECT max(sequence) FROM erasures),"
    b" (SELECT max(sequence) FROM items), (SELECT max(sequence) FROM experiments)",
    b"cml_knows": b"SELECT 1 FROM events WHERE user_id = $1::text LIMIT 1",
}


class Lookout(Protocol):
    """What is asked before an answer."""

    def version(self) -> Hashable:
        """Differs from the last one if anyone else committed what readers follow in between."""

    def knows(self, user_id: str) -> bool:
        """Whether there are events of the user."""

    def close(self) -> None:
        """Give the connection back; the next question takes another one."""


def lookout(engine: Engine) -> Lookout:
    """The way of asking that suits this engine, whose connections must not open transactions."""
    return SqliteLookout(engine) if engine.dialect.name == SQLITE else PostgresLookout(engine)


class SqliteLookout:
    """Asks SQLite's counter of other connections' commits: microseconds and no query."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None

    def version(self) -> Hashable:
        return self._ask("PRAGMA data_version")[0]

    def knows(self, user_id: str) -> bool:
        return bool(self._ask("SELECT 1 FROM events WHERE user_id = ? LIMIT 1", user_id))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, statement: str, *values: Any) -> list[Any]:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            self._cursor = self._connection.cursor()
        return self._cursor.execute(statement, values).fetchall()


class PostgresLookout:
    """Asks for the newest row numbers: one round trip with a prepared statement, bounded in time.

    A connection that broke since the last question, as when the server was restarted, is replaced once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None

    def version(self) -> Hashable:
        result = self._ask(b"cml_newest")
        return tuple(result.get_value(0, column) for column in range(4))

    def knows(self, user_id: str) -> bool:
        return bool(self._ask(b"cml_knows", user_id.encode()).ntuples)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _ask(self, name: bytes, *values: bytes) -> Any:
        was_open = self._connection is not None
        try:
            return self._answer(name, values)
        except TimeoutError:
            self.close()
            self._engine.dispose()  # the other idle connections lead to the same silence
            raise
        except Exception:
            broken = self._connection is not None and self._connection.connection.dbapi_connection.broken
            self.close()
            if not (was_open and broken):
                raise
            self._engine.dispose()
        return self._answer(name, values)

    def _answer(self, name: bytes, values: tuple[bytes, ...]) -> Any:
        if self._connection is None:
            self._open()
        self._pq.send_query_prepared(name, list(values))
        return self._result()

    def _open(self) -> None:
        self._connection = self._engine.connect()
        self._pq = self._connection.connection.dbapi_connection.pgconn
        for name, statement in _PREPARED.items():
            self._pq.send_prepare(name, statement)
            self._result()

    def _result(self) -> Any:
        """The statement's result, in time or not at all."""
        from psycopg import errors, pq

        until = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self._pq.socket, select.POLLIN)
        self._pq.flush()
        result = None
        while True:
            while self._pq.is_busy():
                if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                    raise TimeoutError(f"the database has not answered for {PATIENCE:g} seconds")
                self._pq.consume_input()
            following = self._pq.get_result()
            if following is None:
                break
            result = following
        if result is None or result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise errors.error_from_result(result) if result else OSError("the database said nothing")
        return result
