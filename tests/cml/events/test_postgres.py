"""The event store on a PostgreSQL server: many writers, a server that hangs or is gone, and how it is set up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text

from cml.errors import EventStoreError
from cml.events import lookout
from cml.events.database import open_engine
from cml.events.store import EventStore
from cml.events.transactions import WRITER_LOCK
from cml.events.values import Event, Marks

pytestmark = pytest.mark.postgres


def event(event_id: str, user_id: str = "ann") -> Event:
    return Event(event_id, user_id, "film", "like", 1.0, 10.0)


@pytest.fixture
def store(postgres_url: str):
    store = EventStore(postgres_url)
    yield store
    store.close()


WRITER = """
import sys
from cml.events.store import EventStore
from cml.events.values import Event

url, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = EventStore(url)
print("ready", flush=True)
sys.stdin.readline()
accepted = 0
for number in range(rounds):
    shared = Event(f"shared-{number}", "ann", "film", "like", 1.0, 1.0)
    own = [Event(f"{name}-{number}-{part}", name, "film", "like", 1.0, 1.0) for part in range(number % 5)]
    accepted += len(store.append([*own, shared]))
print(accepted, flush=True)
"""


def start_writer(url: str, name: str, rounds: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, name, str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_a_reader_that_asks_for_what_comes_after_misses_nothing_of_many_writers(store, postgres_url):
    rounds = 40
    writers = [start_writer(postgres_url, f"w{number}", rounds) for number in range(4)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen: list[Event] = []
    marks, moved = Marks(), 0
    users: set[str] = set()
    while True:
        done = all(writer.poll() is not None for writer in writers)
        seen += store.events_after(seen[-1].sequence if seen else 0, limit=37)
        changes = store.changes(marks)
        moved += changes.marks != marks
        marks = changes.marks
        users |= set(changes.users)
        if done and len(seen) == store.count():
            break
        assert not done or store.events_after(seen[-1].sequence, limit=1), (
            "an event came in behind the reader"
        )
    accepted = [int(writer.stdout.read()) for writer in writers]
    own = 4 * sum(number % 5 for number in range(rounds))
    assert sum(accepted) == len(seen) == own + rounds  # each shared id counted once, whoever came first
    assert len({one.event_id for one in seen}) == len(seen)
    assert users == {"ann", "w0", "w1", "w2", "w3"}
    assert moved > 5  # it really was read in between


def test_a_number_becomes_visible_only_after_all_smaller_ones(store, postgres_url, postgres_server):
    """A transaction that has its numbers and has not committed keeps others from taking theirs."""
    slow = create_engine(postgres_url)
    with slow.begin() as connection, ThreadPoolExecutor() as pool:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"))
        connection.execute(
            text(
                "INSERT INTO events (event_id, user_id, item_id, type, weight, occurred_at, received_at)"
                " VALUES ('slow', 'ann', 'film', 'like', 1, 1, 1)"
            )
        )
        quick = pool.submit(store.append, [event("quick")])
        while not postgres_server.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            assert not quick.done()
        assert store.events_after(0, 10) == []
        connection.commit()
        assert quick.result(30) == {"quick"}
    assert [one.event_id for one in store.events_after(0, 10)] == ["slow", "quick"]
    slow.dispose()


def test_a_writer_that_freezes_in_its_transaction_loses_it(store, postgres_url):
    frozen = create_engine(f"{postgres_url}&options=-c%20idle_in_transaction_session_timeout=300")
    connection = frozen.connect()
    connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"))
    began = time.monotonic()
    assert store.append([event("a")]) == {"a"}  # waits until the server has ended the frozen one's session
    assert 0.2 < time.monotonic() - began < 8
    connection.invalidate()
    frozen.dispose()


def test_our_own_sessions_are_limited_like_that_and_the_url_may_say_otherwise(postgres_url):
    def shown(url: str, name: str) -> str:
        engine = open_engine(url)
        with engine.connect() as connection:
            value = connection.execute(text(f"SHOW {name}")).scalar_one()
        engine.dispose()
        return value

    assert shown(postgres_url, "idle_in_transaction_session_timeout") == "10s"
    assert shown(postgres_url, "statement_timeout") == "10s"
    assert shown(postgres_url, "application_name") == "cml"
    longer = f"{postgres_url}&options=-c%20statement_timeout=70s&application_name=night"
    assert shown(longer, "statement_timeout") == "70s"
    assert shown(longer, "idle_in_transaction_session_timeout") == "10s"
    assert shown(longer, "application_name") == "night"


def test_a_write_that_cannot_get_its_turn_ends_in_an_error(store, postgres_url):
    impatient = EventStore(f"{postgres_url}&options=-c%20statement_timeout=200")
    holder = create_engine(postgres_url)
    with holder.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"))
        with pytest.raises(EventStoreError, match="statement timeout"):
            impatient.append([event("a")])
    assert impatient.append([event("a")]) == {"a"}
    impatient.close()
    holder.dispose()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_the_url_opens_the_same_store(store, postgres_url, scheme):
    store.append([event("a")])
    other = EventStore(postgres_url.replace("postgresql+psycopg", scheme))
    assert other.count() == 1
    other.close()


def test_commits_reach_the_disk_though_the_database_says_otherwise(postgres_server, postgres_url):
    database = postgres_url.partition("@/")[2].partition("?")[0]
    postgres_server.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")
    store = EventStore(postgres_url)
    with store.rewriting() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
    store.close()


def test_a_database_that_cannot_hold_every_id_is_refused(postgres_server):
    database = postgres_server.new_database("ENCODING 'LATIN1'", "TEMPLATE template0")
    with pytest.raises(EventStoreError, match=r"LATIN1.*UTF8"):
        EventStore(postgres_server.url(database))
    postgres_server.drop(database)


def test_no_message_shows_the_password():
    url = "postgresql://cml:secret-word@127.0.0.1:1/nowhere"
    for bad in (url, url.replace(":1/", ":x/"), url.replace("postgresql", "oracle")):
        with pytest.raises(EventStoreError) as caught:
            EventStore(bad)
        assert "secret-word" not in str(caught.value)


def test_a_server_that_is_not_there_may_be_waited_for(own_postgres):
    url = own_postgres.url("postgres")
    own_postgres.stop()
    with pytest.raises(EventStoreError, match="connect"):
        EventStore(url)
    store = EventStore(url, wait_for_server=True)
    for ask in (store.version, store.count, lambda: store.append([event("a")]), store.check):
        with pytest.raises(EventStoreError):
            ask()
    own_postgres.start()
    assert store.append([event("a")]) == {"a"}
    store.close()


def test_a_server_that_was_restarted_is_not_noticed(own_postgres):
    store = EventStore(own_postgres.url("postgres"))
    store.append([event("a")])
    assert store.knows("ann")
    before = store.version()
    own_postgres.stop()
    own_postgres.start()
    assert store.version() == before
    assert store.append([event("a"), event("b")]) == {"b"}
    assert store.version() != before
    store.close()


def test_a_server_that_is_silent_has_failed_after_a_while_and_may_come_back(own_postgres, monkeypatch):
    monkeypatch.setattr(lookout, "PATIENCE", 0.3)
    store = EventStore(own_postgres.url("postgres"))
    before = store.version()
    processes = own_postgres.processes()
    assert len(processes) > 3
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(EventStoreError, match="not answered"):
            store.version()
        assert time.monotonic() - began < 2
        with pytest.raises(EventStoreError):
            store.check()  # in its own thread, it waits as long as a connection may take
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    store.check()
    assert store.version() == before
    store.close()
