"""The whole event store in one file, which any kind of database can be filled from again.

Gzipped JSON lines: a head, then for each table its name and columns and a row a line, then an end with the
number of rows and the SHA-256 of everything before it. Numbers of rows are kept, since published versions say
up to which number they have learned; so are the counters, since no number may be given out twice.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
from sqlalchemy import Connection, Table, delete, insert, select

from cml.durable import staged_file
from cml.errors import EventStoreError
from cml.events import schema
from cml.events.numbers import COUNTED, counter, set_counter
from cml.events.store import EventStore
from cml.events.values import Marks

FORMAT = 1
_KIND = "cml event store"
_TABLES = (schema.events, schema.erasures, schema.items, schema.experiments, schema.exposures)
_AT_ONCE = 5_000  # rows


@dataclass(frozen=True)
class Contents:
    """What a backup holds: rows by table, and when it was made."""

    created_at: str
    rows: dict[str, int]


def backup(store: EventStore, file: Path, now: datetime | None = None) -> Contents:
    """Write everything, as it is at one moment, to `file`: whole or not at all. Nobody waits meanwhile.

    A file that is there is replaced at the end. Raises EventStoreError, OSError.
    """
    created_at = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    rows: dict[str, int] = {}
    with store.viewing() as connection, staged_file(file) as raw, gzip.open(raw, "wb", 6) as packed:
        out = _Hashed(cast(BinaryIO, packed))
        counters = {_name(table): counter(connection, table) for table in COUNTED}
        head = {"kind": _KIND, "format": FORMAT, "schema": schema.newest(), "created_at": created_at}
        out.write(head | {"counters": counters})
        for table in _TABLES:
            out.write({"table": table.name, "columns": table.columns.keys()})
            rows[_name(table)] = 0
            statement = select(table).order_by(*table.primary_key.columns)
            found = connection.execution_options(yield_per=_AT_ONCE).execute(statement)
            for row in found:
                out.write(list(row))
                rows[_name(table)] += 1
        out.write({"end": rows, "sha256": out.digest()})
    return Contents(created_at, rows)


def restore(store: EventStore, file: Path, *, replace: bool = False, after: Marks | None = None) -> Contents:
    """Fill the store from a backup, in one transaction: all of it or nothing.

    New rows are numbered after everything that the backup or the store ever numbered, and after `after`. Raises
    EventStoreError for a store that holds something, unless `replace` is said; for a damaged backup; for one from
    a newer program.
    """
    with store.rewriting() as connection:
        if not replace and any(connection.execute(select(table).limit(1)).first() for table in _TABLES):
            raise EventStoreError(
                "the event store is not empty: restore into a new one, or say --replace to lose what it holds"
            )
        before = {table.name: counter(connection, table) for table in COUNTED}
        for table in _TABLES:
            connection.execute(delete(table))
        head, rows = _fill(connection, file)
        for table in COUNTED:
            known = (before[table.name], head["counters"][table.name], getattr(after, table.name, 0))
            set_counter(connection, table, max(known))
    store.accept()
    return Contents(head["created_at"], rows)


def _fill(connection: Connection, file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    lines = _checked_lines(file)
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("kind") != _KIND:
        raise EventStoreError(f"{file}: no backup of an event store; `cml events backup` makes one")
    if head["format"] > FORMAT or head["schema"] > schema.newest():
        made_by = f"format {head['format']}, schema {head['schema']}"
        raise EventStoreError(f"{file}: made by a newer program ({made_by}): upgrade before you restore it")
    rows: dict[str, int] = {}
    table, columns = schema.events, list[str]()
    batch: list[dict[str, Any]] = []
    for line in lines:
        if isinstance(line, dict) or len(batch) == _AT_ONCE:
            _insert(connection, table, batch)
            batch = []
        if isinstance(line, dict):
            table, columns = _table(file, line), line["columns"]
            rows[_name(table)] = 0
        else:
            batch.append(dict(zip(columns, line, strict=True)))
            rows[_name(table)] += 1
    _insert(connection, table, batch)
    return head, rows


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _table(file: Path, line: dict[str, Any]) -> Table:
    table = next((one for one in _TABLES if one.name == line.get("table")), None)
    if table is None or not set(line["columns"]) <= set(table.columns.keys()):
        raise EventStoreError(
            f"{file}: holds what this program does not know: {line}; restore it with its own"
        )
    return table


def _checked_lines(file: Path) -> Iterator[Any]:
    """Every line but the last, which must be there and fit the others. Raises EventStoreError."""
    digest, last = sha256(), b""
    try:
        with gzip.open(file, "rb") as packed:
            for line in packed:
                if last:
                    digest.update(last)
                    yield orjson.loads(last)
                last = line
        end = orjson.loads(last)
    except (EOFError, gzip.BadGzipFile, zlib.error, orjson.JSONDecodeError) as error:
        raise EventStoreError(f"{file}: no backup, or a damaged one: {error}; take another one") from None
    if not isinstance(end, dict) or end.get("sha256") != digest.hexdigest():
        raise EventStoreError(f"{file}: damaged: its contents do not match its checksum; take another one")


def _name(table: Table) -> str:
    return str(table.name)  # SQLAlchemy's own kind of text is no key of a JSON object


class _Hashed:
    """Lines into a file, and the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()

    def write(self, value: Any) -> None:
        line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
        self._digest.update(line)
        self._file.write(line)

    def digest(self) -> str:
        return self._digest.hexdigest()
