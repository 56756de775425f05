"""Where the time of a run goes: stages by name, measured only when somebody asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Thing = TypeVar("Thing")

START = "start"
FEATURES = "features"
DRAWING = "drawing"
DISTANCES = "distances and slopes"
GRADIENTS = "gradients"
MOVING = "moving rows"
VALIDATION = "validation"
WRITING = "writing"
STAGES = (START, FEATURES, DRAWING, DISTANCES, GRADIENTS, MOVING, VALIDATION, WRITING)
OTHER = "other"


class Profile(Protocol):
    """What a run tells about its stages. Stages do not nest: a second is counted once."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """What happens inside belongs to this stage."""

    def each(self, name: str, things: Iterable[Thing]) -> Iterable[Thing]:
        """The same things; making each of them belongs to this stage."""


class NoProfile:
    """Measures nothing: a stage costs a call that returns at once."""

    _nothing = nullcontext()

    def stage(self, _name: str) -> AbstractContextManager[None]:
        return self._nothing

    def each(self, _name: str, things: Iterable[Thing]) -> Iterable[Thing]:
        return things


OFF = NoProfile()


@dataclass
class Timer:
    """Adds up the seconds of each stage. clock: seconds from any beginning."""

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = self.clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - started

    def each(self, name: str, things: Iterable[Thing]) -> Iterator[Thing]:
        iterator, end = iter(things), object()
        while True:
            with self.stage(name):
                thing = next(iterator, end)
            if thing is end:
                return
            yield thing  # type: ignore[misc]  # not the end, hence a thing

    def table(self, total: float) -> dict[str, float]:
        """Seconds of every stage in the order of a run, and of what is left of `total` besides them."""
        stages = {name: self.seconds.get(name, 0.0) for name in STAGES}
        return stages | {OTHER: max(0.0, total - sum(stages.values()))}

    def text(self, total: float) -> str:
        """The table for people: a line a stage with its share of `total` seconds."""
        lines = [
            f"  {name:22} {seconds:9.2f} s {seconds / max(total, 1e-9):7.1%}"
            for name, seconds in self.table(total).items()
        ]
        return "\n".join(["where the time went", *lines])
