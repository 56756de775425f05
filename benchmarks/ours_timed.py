"""Our trainer under the stopwatch: the model after its start and after each epoch, judging left out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.fitted import Fitted, Lists
from benchmarks.splits import Parts
from cml.config import load_config
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen
from cml.training.plan import Plan
from cml.training.space import Space
from cml.training.trainer import Progress, fit


class Stopwatch:
    """Counts wall and CPU seconds while it runs."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self.go_on()

    def go_on(self) -> None:
        self._since = time.perf_counter(), time.process_time()

    def pause(self) -> None:
        wall, cpu = self._since
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu


def timed(parts: Parts, overrides: Sequence[str], *, threads: int) -> Iterator[Fitted]:
    """The model after each epoch of a run without validation, in order; preparations and start are in its time."""
    config = load_config(overrides=tuple(overrides), threads=threads)
    models: list[Fitted] = []
    watch = Stopwatch()

    def save(plan: Plan, progress: Progress) -> None:
        watch.pause()
        models.append(
            Fitted(_lists(plan.space.copy(), threads), progress.epoch, watch.seconds, watch.cpu_seconds)
        )
        watch.go_on()

    fit(parts.train, config, save=save)
    yield from models


def _lists(space: Space, threads: int) -> Lists:
    def lists(held_out: HeldOut, k: int) -> NDArray[np.int32]:
        return top_unseen(space.users[held_out.user_rows], space.items, held_out.seen, k, threads=threads)

    return lists
