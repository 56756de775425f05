"""The counters behind the numbers of rows: no number is given out twice, also across backups and lost databases."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select, text

from cml.events import schema
from cml.events.database import SQLITE
from cml.events.values import Marks

COUNTED = (schema.events, schema.erasures, schema.items, schema.experiments)


def counter(connection: Connection, table: Table) -> int:
    """The largest number that was ever given to a row of this table; 0 for none."""
    if connection.dialect.name == SQLITE:
        statement = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
        return int(connection.execute(statement, {"table": table.name}).scalar() or 0)
    statement = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table.name}_sequence_seq")
    return int(connection.execute(statement).scalar_one())


def set_counter(connection: Connection, table: Table, value: int) -> None:
    """The next row of this table gets the number after `value`."""
    if connection.dialect.name == SQLITE:
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
        statement = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :value)")
        connection.execute(statement, {"table": table.name, "value": value})
    elif value:
        sequence = func.pg_get_serial_sequence(table.name, "sequence")
        connection.execute(select(func.setval(sequence, value, True)))


def behind(connection: Connection, least: Marks) -> list[Table]:
    """Tables that have not numbered so far."""
    return [table for table in COUNTED if counter(connection, table) < getattr(least, table.name)]


def raise_counters(connection: Connection, least: Marks) -> Marks | None:
    """Number new rows after `least`; what the counters were if any was behind, else None."""
    before = Marks(*(counter(connection, table) for table in COUNTED))
    late = behind(connection, least)
    for table in late:
        set_counter(connection, table, getattr(least, table.name))
    return before if late else None
