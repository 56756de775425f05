"""The event store's schema over time: old stores are brought forward, newer ones refused, never half-way."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, inspect, select, text

from cml.errors import EventStoreError
from cml.events import schema
from cml.events.store import EventStore
from cml.events.values import Event, ItemState, Marks, user_digest

# Schema 1 as it was created, with a row in every table. It is never edited: stores like it are out there.
SCHEMA_1 = """
CREATE TABLE events (sequence {counter}, event_id VARCHAR(200) NOT NULL, user_id TEXT NOT NULL,
  item_id TEXT NOT NULL, type VARCHAR(20) NOT NULL, weight FLOAT NOT NULL, occurred_at FLOAT NOT NULL,
  received_at FLOAT NOT NULL, recommendation_id VARCHAR(200), CONSTRAINT events_once UNIQUE (event_id));
CREATE INDEX events_by_user ON events (user_id, sequence);
CREATE TABLE erasures (sequence {counter}, digest VARCHAR(16) NOT NULL, erased_at FLOAT NOT NULL,
  UNIQUE (digest));
CREATE TABLE items (sequence {counter}, item_id TEXT NOT NULL, hidden BOOLEAN NOT NULL,
  metadata TEXT, features TEXT, UNIQUE (item_id));
CREATE TABLE experiments (sequence {counter}, name VARCHAR(100) NOT NULL, candidate TEXT, share FLOAT NOT NULL,
  decided_at FLOAT NOT NULL);
CREATE TABLE exposures (experiment VARCHAR(100) NOT NULL, variant VARCHAR(20) NOT NULL, user_id TEXT NOT NULL,
  lists INTEGER NOT NULL, PRIMARY KEY (experiment, variant, user_id));
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
INSERT INTO events (event_id, user_id, item_id, type, weight, occurred_at, received_at, recommendation_id)
  VALUES ('old', 'ann', 'film', 'like', 1.0, 10.0, 11.0, NULL);
INSERT INTO erasures (digest, erased_at) VALUES ('{digest}', 12.0);
INSERT INTO items (item_id, hidden, metadata, features) VALUES ('film', TRUE, '{{"title": "Old"}}', '[0.5]');
INSERT INTO experiments (name, candidate, share, decided_at) VALUES ('warmer', '000002-abc', 0.25, 13.0);
INSERT INTO exposures VALUES ('warmer', 'control', 'ann', 7);
"""
COUNTER = {"sqlite": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "postgresql": "BIGSERIAL PRIMARY KEY"}


@pytest.fixture
def url(any_events_url: str) -> str:
    return any_events_url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


def make_schema_1(engine: Engine) -> None:
    script = SCHEMA_1.format(counter=COUNTER[engine.dialect.name], digest=user_digest("gone"))
    with engine.begin() as connection:
        for statement in script.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def add_note(connection) -> None:
    connection.execute(text("ALTER TABLE items ADD COLUMN note TEXT"))


def has_note(engine: Engine) -> bool:
    return "note" in {column["name"] for column in inspect(engine).get_columns("items")}


def version(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(schema._version.c.version)).scalar_one()


def shape(engine: Engine) -> dict[str, set[tuple[str, str, bool]]]:
    """Every table with its columns' names, types and nullability, and its unique and indexed columns."""
    found = inspect(engine)
    tables: dict[str, set] = {}
    for table in found.get_table_names():
        parts = {(one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(table)}
        parts |= {("unique", *one["column_names"]) for one in found.get_unique_constraints(table)}
        parts |= {("index", *one["column_names"]) for one in found.get_indexes(table) if not one["unique"]}
        parts |= {("key", *found.get_pk_constraint(table)["constrained_columns"])}
        tables[table] = parts
    return tables


def test_a_store_of_schema_1_opens_with_every_row(url, engine):
    make_schema_1(engine)
    store = EventStore(url)
    assert store.events_of("ann") == [Event("old", "ann", "film", "like", 1.0, 10.0, None, 1)]
    assert store.erased() == {user_digest("gone")}
    film = store.item("film")
    assert film == ItemState("film", True, {"title": "Old"}, None)  # numbers without names are of no use
    assert film.added_at is None
    assert store.experiment().candidate == "000002-abc"
    assert store.exposures("warmer") == {"control": {"ann": 7}}
    store.append([Event("new", "bob", "film", "like", 1.0, 20.0)])
    assert [one.sequence for one in store.events_after(0, 10)] == [1, 2]
    assert store.changes(Marks()).marks == Marks(2, 1, 1, 1)
    store.close()
    assert version(engine) == schema.newest()


def test_a_migrated_store_has_the_shape_of_a_new_one(engine, url):
    EventStore(url).close()
    new = shape(engine)
    assert len(new) >= 6
    with engine.begin() as connection:
        for table in new:
            connection.exec_driver_sql(f"DROP TABLE {table}")
    make_schema_1(engine)
    EventStore(url).close()
    assert shape(engine) == new


def test_a_store_of_an_older_schema_is_migrated_forward_once(url, engine, monkeypatch):
    make_schema_1(engine)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_note))
    EventStore(url).close()
    EventStore(url).close()  # a second time there would already be such a column
    assert has_note(engine)
    assert version(engine) == schema.newest()


def test_a_new_store_needs_no_migration(url, engine, monkeypatch):
    def never(_connection) -> None:
        raise AssertionError

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, never))
    EventStore(url).close()
    assert version(engine) == schema.newest()


def test_a_migration_that_fails_leaves_the_old_schema(url, engine, monkeypatch):
    make_schema_1(engine)
    before = schema.newest()

    def broken(connection) -> None:
        add_note(connection)
        connection.execute(text("no such statement"))

    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(EventStoreError, match="no"):
            EventStore(url)
    assert not has_note(engine)
    assert version(engine) <= before
    EventStore(url).close()


def test_replicas_that_start_together_migrate_once(url, engine, monkeypatch):
    make_schema_1(engine)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_note))
    start_together(url)
    assert has_note(engine)


def test_replicas_that_start_together_on_an_empty_database_make_one_store(url, engine):
    start_together(url)
    assert version(engine) == schema.newest()


def test_processes_that_open_a_file_of_another_journal_mode_at_once_wait_for_each_other(tmp_path):
    for attempt in range(40):  # one in fifteen failed where the first refusal was final
        path = tmp_path / f"{attempt}.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE of_somebody_else (column_1)")
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        start_together(f"sqlite:///{path}")


def start_together(url: str) -> None:
    gate, failures = threading.Barrier(6), []

    def start() -> None:
        gate.wait()
        try:
            EventStore(url).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_store_of_a_newer_schema_is_refused_politely(url, engine):
    EventStore(url).close()
    with engine.begin() as connection:
        connection.execute(schema._version.update().values(version=99))
    with pytest.raises(EventStoreError, match=r"99.*upgrade"):
        EventStore(url)
