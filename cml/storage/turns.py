"""Locks where there is only an object store: numbered objects, of which the highest tells who is at work.

    locks/retraining-000007    {"holder": ..., "beat": 12, ...}, or {"free": true}

The next holder makes number 8, which a store with conditional writes lets only one process do. While it works it
rewrites its object every few seconds; who watches such an object and sees nothing change for a minute takes the next
number. No clocks are compared for that, except to refuse early.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cml.errors import LockedError, StorageError
from cml.storage.base import Holding, Tell
from cml.storage.objects import Objects

FOLDER = "locks"


@dataclass(frozen=True)
class Timing:
    """Seconds between signs of life, and without one until a holder counts as dead."""

    beat: float = 10.0
    stale: float = 60.0

    @property
    def look(self) -> float:
        """Seconds between looks of one who waits."""
        return min(self.beat / 2, 1.0)


class Turns:
    """One lock by name, such as `retraining`."""

    def __init__(
        self,
        objects: Objects,
        name: str,
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._objects = objects
        self._name = name
        self._timing = timing
        self._clock = clock
        self._sleep = sleep
        self._now = now

    @contextmanager
    def hold(self, *, wait: bool, tell: Tell = lambda _: None) -> Iterator[Holding]:
        """Hold the lock for the block, which gets a question: do I still? Raises LockedError.

        Without `wait`, a holder that shows a sign of life is a LockedError at once.
        """
        mine = {
            "holder": uuid4().hex,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds"),
        }
        number = self._acquire(mine, wait, tell)
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(number, mine, ended), daemon=True)
        beating.start()
        try:
            yield lambda: self._require(number)
        finally:
            ended.set()
            beating.join()
            with suppress(StorageError):  # else it counts as dead in a while
                self._objects.replace(self._key(number), json.dumps(mine | {"free": True}).encode())

    def _acquire(self, mine: dict[str, Any], wait: bool, tell: Tell) -> int:
        seen, since = None, self._clock()
        told = False
        while True:
            keys, said = self._latest()
            number = _number(keys[-1]) if keys else 0
            gone = False
            if said is not None and not said.get("free"):
                if (number, said) != seen:
                    if seen is not None and not wait:
                        raise self._busy(said)
                    seen, since = (number, said), self._clock()
                if not wait and 0 <= self._now() - float(said.get("at", 0)) < self._timing.stale:
                    raise self._busy(said)
                gone = self._clock() - since >= self._timing.stale
                if not gone:
                    if not told:
                        tell(
                            f"{self._objects.url}: waiting for another {self._name} ({_who(said)}), at most "
                            f"{self._timing.stale:g} s if it is dead"
                        )
                        told = True
                    self._sleep(self._timing.look)
                    continue
            if self._objects.create(self._key(number + 1), self._sign(mine, 0)):
                if gone and said is not None:
                    tell(
                        f"the last {self._name} ({_who(said)}) did not end by itself; its lock is taken over"
                    )
                self._objects.remove(keys)
                return number + 1

    def _latest(self) -> tuple[list[str], dict[str, Any] | None]:
        """(keys, the highest last; what that one says, None where there is none)."""
        while True:
            keys = self._keys()
            if not keys:
                return [], None
            raw = self._objects.read(keys[-1])
            if raw is not None:  # else a new holder has just removed it
                break
        try:
            said = json.loads(raw)
        except ValueError:
            said = {}
        return keys, said if isinstance(said, dict) else {}

    def _beat(self, number: int, mine: dict[str, Any], ended: threading.Event) -> None:
        beat = 0
        while not ended.wait(self._timing.beat):
            beat += 1
            with suppress(StorageError):  # whether we still hold it is asked before anything is published
                self._objects.replace(self._key(number), self._sign(mine, beat))

    def _sign(self, mine: dict[str, Any], beat: int) -> bytes:
        return json.dumps(mine | {"beat": beat, "at": self._now()}).encode()

    def _require(self, number: int) -> None:
        if self._keys()[-1:] != [self._key(number)]:
            raise LockedError(
                f"{self._objects.url}/{FOLDER}: this process was not heard of for {self._timing.stale:g} s, and "
                f"another one took over its {self._name}; nothing more was written, run the command again"
            )

    def _busy(self, said: dict[str, Any]) -> LockedError:
        return LockedError(
            f"{self._objects.url}: another {self._name} is at work ({_who(said)}); wait for it, or stop it"
        )

    def _keys(self) -> list[str]:
        prefix = f"{FOLDER}/{self._name}-"
        keys = [key for key in self._objects.keys(FOLDER) if key.startswith(prefix) and _number(key)]
        return sorted(keys, key=_number)

    def _key(self, number: int) -> str:
        return f"{FOLDER}/{self._name}-{number:06d}"


def _number(key: str) -> int:
    digits = key.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _who(said: dict[str, Any]) -> str:
    return f"process {said.get('pid', '?')} on {said.get('host', 'an unknown host')} since {said.get('since', '?')}"
