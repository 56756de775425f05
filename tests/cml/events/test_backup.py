"""Backups of the event store: consistent, whole or nothing, and good for any kind of database."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cml.errors import EventStoreError
from cml.events import schema
from cml.events.backup import FORMAT, backup, restore
from cml.events.store import EventStore
from cml.events.values import Event, Experiment, ItemState, Marks
from tests.postgres import STORES


def event(event_id: str, user_id: str = "ann", **values: object) -> Event:
    return Event(event_id, user_id, "Ünï/日本", "like", 0.1 + 0.2, 1.7e9 / 3, **values)


def fill(store: EventStore) -> None:
    store.append([event("a"), event("b", "bob", recommendation_id="r1"), event("gone", "cid")])
    store.put_item(
        ItemState("film", hidden=True, metadata={"title": "Ä\n\"'"}, features={"plot": "Ö", "x": 0.1})
    )
    store.decide(Experiment("warmer", "000002-abc", 0.25))
    store.expose({("warmer", "control", "ann"): 7}, after_erasure=0)
    store.erase("cid")


def everything(store: EventStore) -> dict[str, list[tuple]]:
    with store.viewing() as connection:
        tables = (table for table in schema.metadata.sorted_tables if table.name != "schema_version")
        return {table.name: [tuple(row) for row in connection.execute(select(table))] for table in tables}


@pytest.fixture
def store(any_events_url: str):
    store = EventStore(any_events_url, clock=lambda: 1000.5)
    yield store
    store.close()


@pytest.fixture(params=STORES)
def other(request: pytest.FixtureRequest, tmp_path: Path, postgres_databases):
    """An empty store to restore into, of each kind for each kind."""
    url = f"sqlite:///{tmp_path / 'other.db'}" if request.param == "sqlite" else postgres_databases()
    other = EventStore(url)
    yield other
    other.close()


def test_what_is_restored_is_what_was_backed_up(store, other, tmp_path):
    fill(store)
    made = backup(store, tmp_path / "events.backup")
    assert made.rows == {"events": 2, "erasures": 1, "items": 1, "experiments": 1, "exposures": 1}
    assert restore(other, tmp_path / "events.backup") == made
    assert everything(other) == everything(store)


def test_no_number_is_given_out_twice_after_a_restore(store, other, tmp_path):
    fill(store)  # the event with the largest number is erased: only the counter knows of it
    backup(store, tmp_path / "b")
    restore(other, tmp_path / "b")
    other.append([event("new")])
    assert [one.sequence for one in other.events_of("ann")] == [1, 4]
    other.erase("dan")
    assert other.changes(Marks()).marks.erasures == 2


def test_new_rows_are_numbered_after_what_versions_have_learned(store, other, tmp_path):
    fill(store)
    backup(store, tmp_path / "b")
    restore(other, tmp_path / "b", after=Marks(events=900, erasures=70))
    other.append([event("new")])
    other.erase("dan")
    assert other.changes(Marks()).marks == Marks(901, 71, 1, 1)


def test_a_store_that_holds_something_is_kept_unless_told_otherwise(store, other, tmp_path):
    fill(store)
    backup(store, tmp_path / "b")
    other.append([event(str(number), "old") for number in range(9)])
    kept = everything(other)
    with pytest.raises(EventStoreError, match="--replace"):
        restore(other, tmp_path / "b")
    assert everything(other) == kept
    restore(other, tmp_path / "b", replace=True)
    assert everything(other) == everything(store)
    other.append([event("new")])
    assert other.events_of("ann")[-1].sequence == 10  # the nine have had their numbers


def test_a_backup_is_of_one_moment_and_holds_nobody_up(store, tmp_path, monkeypatch):
    store.append([event(str(number)) for number in range(20)])
    written: list[bool] = []

    class Interrupting(gzip.GzipFile):
        def write(self, data):
            if not written:  # the backup has begun and read nothing yet but its view
                thread = threading.Thread(target=lambda: written.append(bool(store.append([event("late")]))))
                thread.start()
                thread.join(20)
            return super().write(data)

    monkeypatch.setattr(gzip, "open", lambda raw, mode, level: Interrupting(fileobj=raw, mode=mode))
    made = backup(store, tmp_path / "b")
    assert written == [True]
    assert made.rows["events"] == 20
    assert store.count() == 21


@pytest.mark.parametrize("damage", ["cut", "bytes", "line", "not ours", "text"])
def test_a_damaged_backup_changes_nothing(tmp_path, damage):
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    fill(store)
    file = tmp_path / "b"
    backup(store, file)
    raw = file.read_bytes()
    lines = gzip.decompress(raw).splitlines(keepends=True)
    file.write_bytes(
        {
            "cut": raw[:-20],
            "bytes": raw[:60] + bytes([raw[60] ^ 255]) + raw[61:],
            "line": gzip.compress(b"".join([*lines[:2], *lines[3:]])),
            "not ours": gzip.compress(b'{"a": 1}\n{"b": 2}\n'),
            "text": b"hello",
        }[damage]
    )
    kept = everything(store)
    with pytest.raises(EventStoreError, match=str(file)):
        restore(store, file, replace=True)
    assert everything(store) == kept
    store.close()


def test_a_backup_of_a_newer_program_is_refused_politely(tmp_path, monkeypatch):
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    with monkeypatch.context() as patched:
        patched.setattr("cml.events.backup.FORMAT", FORMAT + 1)
        backup(store, tmp_path / "b")
    with pytest.raises(EventStoreError, match="upgrade"):
        restore(store, tmp_path / "b")
    store.close()


def test_a_backup_that_fails_leaves_the_one_before(tmp_path):
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    fill(store)
    (tmp_path / "b").write_text("the one before")
    with store.rewriting() as connection:
        connection.exec_driver_sql("DROP TABLE exposures")
    with pytest.raises(EventStoreError):
        backup(store, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "the one before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    store.close()


def test_a_backup_can_be_read_by_its_owner_only(tmp_path):
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    backup(store, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    store.close()


def test_many_rows_go_through_in_portions(store, other, tmp_path):
    store.append([event(str(number)) for number in range(12_003)])
    backup(store, tmp_path / "b")
    restore(other, tmp_path / "b")
    with other.viewing() as connection:
        assert connection.execute(select(func.count()).select_from(schema.events)).scalar_one() == 12_003
    assert other.events_after(12_002, 5) == store.events_after(12_002, 5)
