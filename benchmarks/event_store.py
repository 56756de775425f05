"""What an event store's questions and backups take.

    python -m benchmarks.event_store [URL] [--events 100000]

URL is of an empty store; by default a new SQLite file. Prints how long "is there anything new" takes, and a backup and
its restoring into a new SQLite file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cml.events.backup import backup, restore
from cml.events.store import EventStore
from cml.events.values import Event

QUESTIONS = 2_000
BATCH = 1_000


def main() -> None:
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = EventStore(given.url or f"sqlite:///{folder / 'events.db'}")
        for begin in range(0, given.events, BATCH):
            store.append([_event(number) for number in range(begin, begin + BATCH)])
        asked = _seconds(lambda: [store.version() for _ in range(QUESTIONS)])
        print(f"is there anything new: {asked / QUESTIONS * 1e3:.3f} ms, mean of {QUESTIONS:,}")
        saved = _seconds(lambda: backup(store, folder / "backup"))
        size = (folder / "backup").stat().st_size
        print(f"backup of {given.events:,} events: {saved:.1f} s, {size / 1e6:.1f} MB")
        other = EventStore(f"sqlite:///{folder / 'other.db'}")
        print(f"restored into SQLite: {_seconds(lambda: restore(other, folder / 'backup')):.1f} s")
        other.close()
        store.close()


def _event(number: int) -> Event:
    user, item = number % 5_000, number * 7_919 % 20_000
    return Event(
        event_id=f"e{number}",
        user_id=f"user-{user}",
        item_id=f"item-{item}",
        type="like",
        weight=1.0,
        occurred_at=1.7e9 + number,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url", nargs="?", help="of an empty event store")
    parser.add_argument("--events", type=int, default=100_000)
    return parser


if __name__ == "__main__":
    main()
