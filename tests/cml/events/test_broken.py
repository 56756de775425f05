"""What breaks under SQLite's store: the file is gone or replaced, the disk is full, the lock is not let go."""

from __future__ import annotations

import resource
import sqlite3
from pathlib import Path

import pytest

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event


def like(event_id: str) -> Event:
    return Event(event_id, "ann", "i0", "like", 1.0, 1.0)


def open_in(folder: Path) -> EventStore:
    folder.mkdir(exist_ok=True)
    return EventStore(f"sqlite:///{folder / 'events.db'}")


def stored(store: EventStore) -> list[str]:
    return [event.event_id for event in store.events_after(0, 100)]


def test_a_file_that_is_gone_takes_no_event_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    store = open_in(tmp_path / "here")
    store.append([like("before")])
    store.version()
    (tmp_path / "here").rename(tmp_path / "away")
    for ask in (lambda: store.append([like("gone")]), store.version, lambda: store.events_of("ann")):
        with pytest.raises(EventStoreError, match=r"events\.db is gone"):
            ask()
    (tmp_path / "away").rename(tmp_path / "here")
    assert store.append([like("gone")]) == {"gone"}
    assert stored(store) == ["before", "gone"]
    store.close()


def test_a_file_that_took_the_place_of_another_is_not_mistaken_for_it(tmp_path: Path) -> None:
    store = open_in(tmp_path / "here")
    store.append([like("before")])
    (tmp_path / "here").rename(tmp_path / "away")
    other = open_in(tmp_path / "here")
    with pytest.raises(EventStoreError, match="another file took its place"):
        store.append([like("lost")])
    assert stored(other) == []
    store.close()
    other.close()


def test_a_full_disk_refuses_and_with_room_nothing_is_lost(tmp_path: Path) -> None:
    store = open_in(tmp_path)
    store.append([like("before")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with pytest.raises(EventStoreError, match="check the disk"):
            store.append([like("full")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.append([like("full")]) == {"full"}
    assert stored(store) == ["before", "full"]
    store.close()


@pytest.mark.slow
def test_a_lock_that_is_not_let_go_is_told_and_reading_goes_on(tmp_path: Path) -> None:
    store = open_in(tmp_path)
    store.append([like("before")])
    other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(EventStoreError, match="database is locked"):
        store.append([like("late")])
    assert stored(store) == ["before"]
    other.execute("ROLLBACK")
    other.close()
    assert store.append([like("late")]) == {"late"}
    store.close()
