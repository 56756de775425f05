"""Group commit: nothing acknowledged is lost, nothing is counted twice, one failure is told to all who wait."""

from __future__ import annotations

import subprocess
import sys
from threading import Event as Flag
from threading import Thread

import pytest

from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event
from cml.events.writer import EventWriter, Receipt


def event(event_id: str) -> Event:
    return Event(event_id, "ann", "film", "like", 1.0, 10.0)


class SlowStore:
    """Holds the first write until told, so that others must queue; counts the transactions."""

    def __init__(self) -> None:
        self.release = Flag()
        self.groups: list[list[str]] = []
        self.known: set[str] = set()

    def append(self, batch):
        self.release.wait(10)
        self.groups.append([one.event_id for one in batch])
        new = {one.event_id for one in batch} - self.known
        self.known |= new
        return frozenset(new)


def test_what_queues_during_a_write_shares_the_next_transaction():
    store = SlowStore()
    writer = EventWriter(store)
    futures = [writer.submit([event("first")])]
    while writer.backlog():  # the writer has taken the first one and is held in it
        pass
    futures += [writer.submit([event(f"{number}")]) for number in range(50)]
    store.release.set()
    assert [future.result(10) for future in futures] == [Receipt(1, 0)] * 51
    assert store.groups == [["first"], [str(number) for number in range(50)]]
    writer.close()


def test_receipts_tell_new_from_known_even_within_one_group():
    store = SlowStore()
    store.known = {"old"}
    writer = EventWriter(store)
    held = writer.submit([event("x")])
    while writer.backlog():
        pass
    one = writer.submit([event("a"), event("old"), event("a")])
    two = writer.submit([event("a"), event("b")])
    store.release.set()
    assert held.result(10) == Receipt(1, 0)
    assert one.result(10) == Receipt(1, 2)
    assert two.result(10) == Receipt(1, 1)
    writer.close()


def test_the_first_of_two_events_with_one_id_is_the_one_that_is_stored(any_events_url):
    store = EventStore(any_events_url)
    writer = EventWriter(store)
    first = Event("same", "ann", "first", "like", 1.0, 1.0)
    writer.submit([first, Event("same", "ann", "second", "like", 1.0, 1.0)]).result(10)
    assert [one.item_id for one in store.events_of("ann")] == ["first"]
    writer.close()
    store.close()


def test_a_failed_write_is_told_to_everyone_who_waits_and_the_next_one_works():
    class Broken(SlowStore):
        def append(self, batch):
            if not self.groups:
                self.groups.append([])
                raise EventStoreError("disk full")
            return super().append(batch)

    store = Broken()
    store.release.set()
    writer = EventWriter(store)
    with pytest.raises(EventStoreError, match="disk full"):
        writer.submit([event("a")]).result(10)
    assert writer.submit([event("a")]).result(10) == Receipt(1, 0)
    writer.close()


def test_closing_writes_what_was_submitted_and_takes_no_more(any_events_url):
    store = EventStore(any_events_url)
    writer = EventWriter(store)
    futures = [writer.submit([event(str(number))]) for number in range(100)]
    writer.close()
    assert all(future.done() for future in futures)
    assert store.count() == 100
    with pytest.raises(EventStoreError, match="closed"):
        writer.submit([event("late")])
    store.close()


def test_many_threads_lose_and_double_nothing(any_events_url):
    store = EventStore(any_events_url)
    writer = EventWriter(store)
    receipts: list[Receipt] = []

    def client(name: int) -> None:
        for number in range(40):
            shared, own = event(f"shared-{number}"), event(f"{name}-{number}")
            receipts.append(writer.submit([shared, own]).result(30))

    threads = [Thread(target=client, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert store.count() == sum(receipt.accepted for receipt in receipts) == 5 * 40
    store.close()


WRITER_PROCESS = """
import sys
from cml.events.values import Event
from cml.events.writer import EventWriter
from cml.events.store import EventStore

writer = EventWriter(EventStore(sys.argv[1]))
number = int(sys.argv[2])
while True:
    futures = [writer.submit([Event(str(number + i), "ann", "film", "like", 1.0, 1.0)]) for i in range(7)]
    for i, future in enumerate(futures):
        future.result()
        print(number + i, flush=True)
    number += 7
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_acknowledged_event_and_counts_none_twice(any_events_url: str):
    url = any_events_url
    acknowledged: list[int] = []
    for kill_after in (1, 5, 13, 40, 90):
        start = (acknowledged[-1] + 1) if acknowledged else 0  # resends what was written but not acknowledged
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER_PROCESS, url, str(start)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) >= kill_after:
                break
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
    store = EventStore(url)
    stored = [int(one.event_id) for one in store.events_of("ann")]
    store.close()
    assert len(acknowledged) >= 90
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
