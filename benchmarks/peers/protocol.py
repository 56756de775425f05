"""What the benchmark and a peer's process say to each other: a job in, vectors and a clock's readings out.

Runs inside the peers' own environment, so it imports nothing of this project but itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = tuple[NDArray, NDArray]  # users (n, d) and items (m, d) whose inner products rank the items


class OutOfTime(Exception):
    """The fit has used the seconds that it was given; what it saved so far counts."""


@dataclass(frozen=True)
class Job:
    """One fit. `train` is an npz with user_rows, item_rows and shape; everything that is made goes to `out`."""

    model: str
    settings: Mapping[str, Any]
    train: str
    out: str
    epochs: Sequence[int]  # after which vectors are saved, ascending; the last one ends the fit
    threads: int
    seed: int
    limit: float  # CPU seconds of fitting after which no further epoch begins: a busy machine takes none away

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass
class Recorder:
    """The stopwatch of a fit: it stands still while vectors are saved."""

    job: Job
    seconds: list[float] = field(default_factory=list)  # of each epoch, by the clock on the wall
    cpu_seconds: list[float] = field(default_factory=list)  # of each epoch, of all threads together

    def __post_init__(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        """Let the stopwatch run (again)."""
        self._started = time.perf_counter(), time.process_time()

    def epoch_done(self, vectors: Callable[[], Vectors]) -> None:
        """Note the epoch's seconds and save its vectors if they are wanted. Raises OutOfTime after the limit."""
        wall, cpu = self._started
        self.seconds.append(time.perf_counter() - wall)
        self.cpu_seconds.append(time.process_time() - cpu)
        late = sum(self.cpu_seconds) >= self.job.limit
        if len(self.seconds) in self.job.epochs or late:
            users, items = vectors()
            np.savez(vectors_path(Path(self.job.out), len(self.seconds)), users=users, items=items)
        if late:
            raise OutOfTime
        self.go_on()

    def write(self) -> None:
        """Leave the readings where `read_clock` finds them."""
        told = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        (Path(self.job.out) / "clock.json").write_text(json.dumps(told), encoding="utf-8")


def vectors_path(out: Path, epoch: int) -> Path:
    """Where the vectors after an epoch are."""
    return out / f"epoch-{epoch:05d}.npz"


def read_clock(out: Path) -> dict[str, list[float]]:
    """Seconds of each epoch: `seconds` by the wall, `cpu_seconds` of all threads."""
    return json.loads((out / "clock.json").read_text(encoding="utf-8"))


def with_biases(users: NDArray, items: NDArray, item_biases: NDArray) -> Vectors:
    """The same ranking as inner product plus item bias, as inner products alone."""
    ones = np.ones((len(users), 1), dtype=users.dtype)
    return np.hstack([users, ones]), np.hstack([items, item_biases[:, None]])


def from_distances(users: NDArray, items: NDArray) -> Vectors:
    """The ranking of Euclidean distances as inner products: without |u|^2, -d^2 / 2 is u.v - |v|^2 / 2."""
    return with_biases(users, items, -0.5 * (items**2).sum(axis=1))
