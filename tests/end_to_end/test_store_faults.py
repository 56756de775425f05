"""A running service whose SQLite store is locked, moved away, replaced, or whose clock went back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from cml.events.store import EventStore
from tests.end_to_end.commands import run
from tests.end_to_end.servers import Server, server
from tests.service.conftest import ids, refused
from tests.service.worlds import publish

pytestmark = pytest.mark.slow

LIST = "/v1/users/ann/recommendations"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A folder of its own for the event store, as a volume would be."""
    (tmp_path / "events").mkdir()
    return tmp_path / "events" / "events.db"


def send(running: Server, *names: str, item: str = "i7") -> httpx.Response:
    events = [{"event_id": name, "user_id": "ann", "item_id": item, "type": "like"} for name in names]
    return httpx.post(running.url + "/v1/events", json={"events": events}, timeout=30)


def stored(events: Path) -> list[str]:
    with closing(EventStore(f"sqlite:///{events}")) as store:
        return [event.event_id for event in store.events_after(0, 100)]


@contextmanager
def locked(events: Path) -> Iterator[None]:
    """Another program holds SQLite's lock."""
    with closing(sqlite3.connect(events, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_while_another_program_holds_the_lock_events_are_told_so_in_time_and_lists_go_on(
    models: Path, events: Path
) -> None:
    with server(models, "--events", f"sqlite:///{events}") as running:
        assert send(running, "before").json()["accepted"] == 1
        listed = ids(running.get(LIST))
        with ThreadPoolExecutor(8) as clients, locked(events):
            began = time.monotonic()
            waiting = []
            for number in range(8):  # the later ones wait behind the first
                waiting.append(clients.submit(send, running, f"late-{number}"))
                time.sleep(0.1)
            while not all(one.done() for one in waiting):
                asked = time.monotonic()
                assert ids(running.get(LIST)) == listed
                assert time.monotonic() - asked < 2
                time.sleep(0.05)
            for one in waiting:
                said = refused(one.result(), 503, "events-unavailable")
                assert "send it again with the same event ids" in said
                assert "database is locked" in said
                assert one.result().headers["retry-after"] == "1"
            assert time.monotonic() - began < 10  # `answer_timeout`: nobody is left without the reason
            assert running.get("/readyz").status_code == 200
        for number in range(8):
            assert send(running, f"late-{number}").json()["accepted"] == 1
    assert stored(events) == ["before", *(f"late-{number}" for number in range(8))]


def test_events_that_came_shortly_before_the_lock_is_let_go_are_taken(models: Path, events: Path) -> None:
    with server(models, "--events", f"sqlite:///{events}") as running:
        with ThreadPoolExecutor(1) as client, locked(events):
            waiting = client.submit(send, running, "patient")
            time.sleep(2)
            assert not waiting.done()
        assert waiting.result().json()["accepted"] == 1


def test_a_store_that_is_gone_takes_nothing_and_goes_on_when_it_is_back(models: Path, events: Path) -> None:
    away = events.parent.with_name("away")
    with server(models, "--events", f"sqlite:///{events}", CML_SERVICE_POLL_SECONDS="0.05") as running:
        assert send(running, "before", item="i6").json()["accepted"] == 1
        listed = ids(running.get(LIST))
        events.parent.rename(away)
        for _ in range(3):
            said = refused(send(running, "during"), 503, "events-unavailable")
            assert f"{events} is gone" in said
        assert ids(running.get(LIST)) == listed
        ready = running.get("/readyz")
        assert ready.status_code == 200
        assert any(f"{events} is gone" in one for one in ready.json()["problems"])
        assert refused(running.get("/v1/users/ann"), 503, "events-unavailable")
        assert not events.parent.exists()
        away.rename(events.parent)
        assert send(running, "during").json()["accepted"] == 1
        assert set(ids(running.get(LIST))) == set(listed) - {"i7"}
        assert running.get("/readyz").json()["problems"] == []
    assert stored(events) == ["before", "during"]


def test_another_file_in_the_stores_place_takes_nothing_until_a_restart(models: Path, events: Path) -> None:
    with server(models, "--events", f"sqlite:///{events}", CML_SERVICE_POLL_SECONDS="0.05") as running:
        assert send(running, "before").json()["accepted"] == 1
        events.parent.rename(events.parent.with_name("away"))
        events.parent.mkdir()
        with closing(EventStore(f"sqlite:///{events}")):
            pass
        said = refused(send(running, "during"), 503, "events-unavailable")
        assert "another file took its place" in said
        assert "restart" in said
        assert running.get(LIST).status_code == 200
    assert stored(events) == []
    with server(models, "--events", f"sqlite:///{events}") as running:
        assert send(running, "during").json()["accepted"] == 1


def test_starting_while_the_store_is_locked_says_so_and_works_afterwards(models: Path, events: Path) -> None:
    with closing(EventStore(f"sqlite:///{events}")):
        pass
    command = ["--models", models, "--events", f"sqlite:///{events}", "--port", "0"]
    for workers in ("1", "2"):
        with locked(events):
            done = run(*command, "--workers", workers, program="service")
        assert done.returncode == 1
        assert "error: the event store cannot be written: database is locked" in done.stderr
        assert "Traceback" not in done.stderr
    with server(models, "--events", f"sqlite:///{events}") as running:
        assert send(running, "after").json()["accepted"] == 1
