"""Locks in an object store: one holder, a dead one is recognised, one who woke up too late is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from cml.errors import LockedError
from cml.storage.objects import Objects
from cml.storage.turns import Timing, Turns
from tests.cml.storage.places import Place

NEVER = 3600.0  # seconds between signs of life of a holder who gives none during the test
TIMING = Timing(beat=NEVER, stale=60.0)


@dataclass
class Clock:
    """Time that passes by sleeping, and what happens meanwhile."""

    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.meanwhile()


def turns(place: Place, clock: Clock, timing: Timing = TIMING) -> Turns:
    return Turns(Objects(str(place.where)), "retraining", timing, clock=clock, sleep=clock.sleep, now=clock)


def locks(place: Place) -> list[str]:
    return [key for key in place.stored() if key.startswith("locks/")]


def test_a_second_one_is_refused_at_once_and_told_who_is_at_work(url: Place):
    clock = Clock()
    with turns(url, clock).hold(wait=False) as holding:
        with (
            pytest.raises(LockedError, match=r"another retraining is at work \(process \d+ on .+ since"),
            turns(url, clock).hold(wait=False),
        ):
            pass
        holding()
    with turns(url, clock).hold(wait=False):
        assert len(locks(url)) == 1  # only the highest number stays
    assert clock.slept == []


def test_a_holder_without_a_sign_of_life_is_dead_after_a_minute_and_that_is_told(url: Place):
    clock, said = Clock(), []
    dead = turns(url, clock).hold(wait=False)
    dead.__enter__()
    clock.now += 3600
    with turns(url, clock).hold(wait=False, tell=said.append) as holding:
        assert 60 <= sum(clock.slept) < 62
        holding()
    assert "did not end by itself" in said[-1]
    assert "waiting for another retraining" in said[0]


@pytest.mark.parametrize("clock_of_the_holder", [-10 * 365 * 86400.0, 10 * 365 * 86400.0])
def test_whose_clock_is_wrong_is_not_taken_for_dead_while_it_gives_signs_of_life(
    memory: Place, clock_of_the_holder: float
):
    ahead, clock = Clock(1e6 + clock_of_the_holder), Clock()
    with turns(memory, ahead).hold(wait=False):
        (key,) = locks(memory)

        def beat() -> None:
            said = json.loads(memory.read(key))
            memory.write(key, json.dumps(said | {"beat": said["beat"] + 1}).encode())

        clock.meanwhile = beat
        with (
            pytest.raises(LockedError, match="at work"),
            turns(memory, clock).hold(wait=False),
        ):
            pass
    assert clock.slept


def test_signs_of_life_are_given_while_the_lock_is_held(memory: Place):
    beats, give_up = set(), time.monotonic() + 20
    timing = Timing(beat=0.01, stale=60.0)
    clock = Clock()
    with turns(memory, clock, timing).hold(wait=False):
        (key,) = locks(memory)
        while len(beats) < 3:
            beats.add(json.loads(memory.read(key))["beat"])
            assert time.monotonic() < give_up
    assert json.loads(memory.read(key))["free"]


def test_one_who_was_replaced_while_it_slept_is_told_and_does_not_take_the_lock_back(url: Place):
    clock = Clock()
    frozen = turns(url, clock).hold(wait=False)
    holding = frozen.__enter__()
    clock.now += 3600
    with turns(url, clock).hold(wait=False) as now_holding:
        with pytest.raises(LockedError, match="another one took over"):
            holding()
        frozen.__exit__(None, None, None)
        now_holding()
        clock.now += 1
        with pytest.raises(LockedError, match="at work"), turns(url, clock).hold(wait=False):
            pass


def test_of_many_that_see_the_same_dead_holder_one_gets_the_lock(url: Place):
    clock = Clock()
    turns(url, clock).hold(wait=False).__enter__()
    clock.now += 3600
    start, got, refused = threading.Barrier(4), [], []
    release = threading.Event()

    def contend() -> None:
        mine = Clock(clock.now)
        start.wait()
        try:
            with turns(url, mine).hold(wait=False):
                got.append(mine)
                release.wait(20)
        except LockedError as error:
            refused.append(error)
        if len(refused) == 3:
            release.set()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 3)


def test_an_answer_that_was_lost_does_not_make_a_holder_refuse_itself(memory: Place, monkeypatch):
    real = Objects._ask

    def done_but_lost(self, done, key, operation, *arguments, **named):
        result = real(self, done, key, operation, *arguments, **named)
        if named.get("mode") == "create":
            raise self._failed(done, key, OSError("connection reset"))
        return result

    monkeypatch.setattr(Objects, "_ask", done_but_lost)
    with turns(memory, Clock()).hold(wait=False) as holding:
        holding()
