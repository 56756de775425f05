"""The event store: what happened since training, durable before it is acknowledged.

Written by the service, read by the service and by retraining. SQLAlchemy Core over SQLite (write-ahead log,
synchronous=FULL: a commit is on disk when it returns); the same statements run on PostgreSQL by URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, replace
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, RowMapping, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from cml.events import schema
from cml.events.database import POSTGRES, SQLITE
from cml.events.numbers import behind, raise_counters
from cml.events.transactions import Transactions
from cml.events.values import MOMENT, Changes, Event, Experiment, ItemState, Marks, user_digest

_INSERT: dict[str, Any] = {SQLITE: sqlite.insert, POSTGRES: postgresql.insert}


class EventStore:
    """One database of events. Safe to share between threads; each call is one transaction.

    `clock` gives seconds since 1970. Every method raises EventStoreError when the database fails. With
    `wait_for_server` a server that cannot be reached yet is no error; each call tries again to open the store.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.time, wait_for_server: bool = False
    ) -> None:
        self._clock = clock
        self._database = Transactions(url, wait_for_server=wait_for_server)
        self._insert = _INSERT[self._database.dialect]

    def __str__(self) -> str:
        """The URL without its password."""
        return str(self._database)

    @property
    def may_block(self) -> bool:
        """Whether the database is a server, which may be slow or gone while this process is well."""
        return self._database.dialect != SQLITE

    @property
    def complaint(self) -> str | None:
        """What is wrong where another SQLite file was at this place before, which is gone; else None."""
        return self._database.complaint

    def accept(self) -> None:
        """Take what is there for the store that belongs here: nothing is wrong any more."""
        self._database.accept()

    def number_after(self, learned: Marks) -> Marks | None:
        """Give new rows numbers above `learned`, which published versions know: else they would be old news.

        Returns how far the numbers had come if they were behind, as in a new or an older database; else None.
        """
        if not self.is_behind(learned):
            return None
        with self._database.writing() as connection:
            return raise_counters(connection, learned)

    def is_behind(self, learned: Marks) -> bool:
        """Whether published versions know rows that this store never numbered."""
        with self._database.reading() as connection:
            return bool(behind(connection, learned))

    def close(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        self._database.close()

    def version(self) -> Hashable:
        """A value that differs from the last one if anyone else's commit came in between.

        Costs microseconds on SQLite and a round trip on PostgreSQL, so that a reader may ask before every answer;
        a server that is silent for two seconds has failed. Call it from one thread.
        """
        with self._database.asking() as ask:
            return ask.version()

    def check(self) -> None:
        """Raises EventStoreError unless the database answers, within seconds. For any thread."""
        with self._database.probing() as probe:
            probe.version()

    def append(self, batch: Sequence[Event]) -> frozenset[str]:
        """Store events durably; returns the ids of those that are new. An id seen before changes nothing."""
        if not batch:
            return frozenset()
        now = self._clock()
        rows = [_row(one, now) for one in batch]
        with self._database.writing() as connection:
            statement = self._insert(schema.events).on_conflict_do_nothing(index_elements=["event_id"])
            statement = statement.returning(schema.events.c.event_id)
            return frozenset(connection.execute(statement, rows).scalars())

    def knows(self, user_id: str) -> bool:
        """Whether there are events of the user. As cheap as `version`, and for the same thread."""
        with self._database.asking() as ask:
            return ask.knows(user_id)

    def events_of(self, user_id: str) -> list[Event]:
        """The user's events in the order of their arrival."""
        return self._events(schema.events.c.user_id == user_id)

    def events_after(self, sequence: int, limit: int) -> list[Event]:
        """At most `limit` events numbered above `sequence`, in order: what retraining reads page by page."""
        return self._events(schema.events.c.sequence > sequence, limit)

    def changes(self, since: Marks, *, with_users: bool = True) -> Changes:
        """What was written after `since`; the answer's own marks continue from there.

        `with_users=False` leaves out whose events changed: a reader that starts has nothing to update.
        """
        with self._database.reading() as connection:
            events, erasures, items = schema.events, schema.erasures, schema.items
            newest = zip(astuple(since), self._newest(connection), strict=True)
            marks = Marks(*(max(pair) for pair in newest))  # numbers vanish with erased rows
            users = (
                select(events.c.user_id)
                .where(_after(events.c.sequence, since.events, marks.events))
                .distinct()
            )
            erased = select(erasures).where(_after(erasures.c.sequence, since.erasures, marks.erasures))
            changed = (
                select(items)
                .where(_after(items.c.sequence, since.items, marks.items))
                .order_by(items.c.sequence)
            )
            return Changes(
                marks=marks,
                users=tuple(connection.execute(users).scalars()) if with_users else (),
                erased=tuple((row.digest, row.sequence) for row in connection.execute(erased)),
                items=tuple(_item(row) for row in connection.execute(changed).mappings()),
                experiment=self._experiment(connection) if marks.experiments > since.experiments else None,
            )

    def erase(self, user_id: str) -> int:
        """Delete everything about the user and remember, by digest only, to mask the published rest.

        Returns the number of events deleted. Deleted pages are overwritten, not just released.
        """
        digest = user_digest(user_id)
        with self._database.writing() as connection:
            connection.execute(delete(schema.erasures).where(schema.erasures.c.digest == digest))
            connection.execute(insert(schema.erasures).values(digest=digest, erased_at=self._clock()))
            connection.execute(delete(schema.exposures).where(schema.exposures.c.user_id == user_id))
            erased = connection.execute(delete(schema.events).where(schema.events.c.user_id == user_id))
        self._database.forget_log()
        return erased.rowcount

    def erased(self) -> frozenset[str]:
        """Digests of all erased users: whoever reads an interactions file for training drops these."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(schema.erasures.c.digest)).scalars())

    def item(self, item_id: str) -> ItemState | None:
        """What was said about the item since publishing, or None."""
        with self._database.reading() as connection:
            return self._said(connection, item_id)

    def put_item(self, state: ItemState) -> None:
        """Replace what is said about an item."""
        with self._database.writing() as connection:
            self._say(connection, state)

    def hide_item(self, item_id: str, hidden: bool) -> None:
        """Hide or show an item, whatever else is said about it. Showing one of which nothing is said writes nothing."""
        with self._database.writing() as connection:
            said = self._said(connection, item_id)
            if said is not None or hidden:
                self._say(connection, replace(said or ItemState(item_id), hidden=hidden))

    def experiment(self) -> Experiment | None:
        """The experiment that was decided last, running or ended; None when there never was one."""
        with self._database.reading() as connection:
            return self._experiment(connection)

    def decide(self, experiment: Experiment) -> None:
        """Start, change or (candidate None) end an experiment."""
        with self._database.writing() as connection:
            values = asdict(experiment) | {"decided_at": self._clock()}
            connection.execute(insert(schema.experiments).values(**values))

    def expose(self, counts: dict[tuple[str, str, str], int], *, after_erasure: int) -> None:
        """Add to the number of lists shown, by (experiment, variant, user_id).

        after_erasure: number of the last erasure before they were shown; users erased since are left out.
        """
        table = schema.exposures
        upsert = self._insert(table)
        upsert = upsert.on_conflict_do_update(
            index_elements=["experiment", "variant", "user_id"],
            set_={"lists": table.c.lists + upsert.excluded.lists},
        )
        with self._database.writing() as connection:
            erased = select(schema.erasures.c.digest).where(schema.erasures.c.sequence > after_erasure)
            gone = frozenset(connection.execute(erased).scalars())
            rows = [
                {"experiment": experiment, "variant": variant, "user_id": user_id, "lists": lists}
                for (experiment, variant, user_id), lists in counts.items()
                if not gone or user_digest(user_id) not in gone
            ]
            if rows:
                connection.execute(upsert, rows)

    def exposures(self, experiment: str) -> dict[str, dict[str, int]]:
        """Lists shown, by variant and user."""
        shown: dict[str, dict[str, int]] = {}
        table = schema.exposures
        with self._database.reading() as connection:
            for row in connection.execute(select(table).where(table.c.experiment == experiment)):
                shown.setdefault(row.variant, {})[row.user_id] = row.lists
        return shown

    def attributed(self, marker: str) -> list[Event]:
        """Events whose recommendation id contains `marker`."""
        return self._events(schema.events.c.recommendation_id.contains(marker, autoescape=True))

    def count(self) -> int:
        """How many events are stored."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(schema.events)).scalar_one())

    def viewing(self) -> AbstractContextManager[Connection]:
        """A connection that sees everything as it is now, for as long as it takes, and holds no writer up."""
        return self._database.viewing()

    def rewriting(self) -> AbstractContextManager[Connection]:
        """One transaction of the one writer, for as long as it takes: everyone else's events wait meanwhile."""
        return self._database.rewriting()

    def _events(self, condition: Any, limit: int | None = None) -> list[Event]:
        table = schema.events
        columns = [table.c[name] for name in Event.__dataclass_fields__]
        query = select(*columns).where(condition).order_by(table.c.sequence).limit(limit)
        with self._database.reading() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def _said(self, connection: Connection, item_id: str) -> ItemState | None:
        found = connection.execute(select(schema.items).where(schema.items.c.item_id == item_id))
        row = found.mappings().first()
        return None if row is None else _item(row)

    def _say(self, connection: Connection, state: ItemState) -> None:
        added_at = self._added_at(connection, state.item_id)
        connection.execute(delete(schema.items).where(schema.items.c.item_id == state.item_id))
        connection.execute(
            insert(schema.items).values(
                item_id=state.item_id,
                hidden=state.hidden,
                metadata=None if state.metadata is None else orjson.dumps(state.metadata).decode(),
                features=None if state.features is None else orjson.dumps(state.features).decode(),
                added_at=added_at,
            )
        )

    def _added_at(self, connection: Connection, item_id: str) -> float:
        """When the item was first spoken of, if it was; else now, but later than any other item."""
        items = schema.items.c
        known = connection.execute(select(items.added_at).where(items.item_id == item_id)).scalar()
        if known is not None:
            return float(known)
        latest = connection.execute(select(func.max(items.added_at))).scalar()
        return round(max(self._clock(), (latest or 0.0) + MOMENT), 6)

    def _experiment(self, connection: Connection) -> Experiment | None:
        table = schema.experiments
        row = connection.execute(select(table).order_by(table.c.sequence.desc()).limit(1)).first()
        return None if row is None else Experiment(row.name, row.candidate, row.share)

    def _newest(self, connection: Connection) -> tuple[int, ...]:
        tables = (schema.events, schema.erasures, schema.items, schema.experiments)
        newest = [select(func.coalesce(func.max(table.c.sequence), 0)).scalar_subquery() for table in tables]
        return tuple(connection.execute(select(*newest)).one())


def _row(event: Event, received_at: float) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in Event.__dataclass_fields__ if name != "sequence"}
    return values | {"received_at": received_at}


def _item(row: RowMapping) -> ItemState:
    # Before features had names they were lists of numbers, which nothing could be done with.
    features = None if row["features"] is None else orjson.loads(row["features"])
    return ItemState(
        item_id=row["item_id"],
        hidden=bool(row["hidden"]),
        metadata=None if row["metadata"] is None else orjson.loads(row["metadata"]),
        features=features if isinstance(features, dict) else None,
        added_at=row["added_at"],
    )


def _after(column: Column[int], since: int, until: int) -> ColumnElement[bool]:
    return (column > since) & (column <= until)
