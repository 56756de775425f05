"""Fits of the peers that have libraries: one process in their environment a fit, read back epoch by epoch."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import REPOSITORY, peers_python, thread_environment
from benchmarks.fitted import Fitted, by_inner_product
from benchmarks.peers.protocol import Job, read_clock, vectors_path
from benchmarks.splits import Parts


def peer(
    model: str,
    parts: Parts,
    settings: Mapping[str, Any],
    work: Path,
    *,
    epochs: Sequence[int],
    threads: int,
    seed: int = 0,
    limit: float = float("inf"),
) -> Iterator[Fitted]:
    """The model after each of `epochs` (fewer if `limit` CPU seconds of fitting are over), in order.

    Raises CalledProcessError when the peer fails; what it said stands on standard error.
    """
    work.mkdir(parents=True, exist_ok=True)
    train = work / "train.npz"
    np.savez(
        train,
        user_rows=parts.train.user_rows,
        item_rows=parts.train.item_rows,
        shape=parts.positives.shape,
    )
    job = Job(model, settings, str(train), str(work), list(epochs), threads, seed, limit)
    job.write(work / "job.json")
    command = [str(peers_python()), "-m", "benchmarks.peers.run", str(work / "job.json")]
    with (work / "log.txt").open("w") as log:
        subprocess.run(
            command, check=True, cwd=REPOSITORY, env=thread_environment(threads), stdout=log, stderr=log
        )
    clock = read_clock(work)
    times = list(zip(accumulate(clock["seconds"]), accumulate(clock["cpu_seconds"]), strict=True))
    for epoch, (seconds, cpu) in enumerate(times, start=1):
        path = vectors_path(work, epoch)
        if path.exists():
            with np.load(path) as file:
                lists = by_inner_product(file["users"], file["items"])
            path.unlink()
            yield Fitted(lists, epoch, seconds, cpu)
