"""Fits in another process: the job that is handed over, the stopwatch, and vectors that rank as the model does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import peer_fits
from benchmarks.peers import run
from benchmarks.peers.protocol import (
    Job,
    OutOfTime,
    Recorder,
    from_distances,
    read_clock,
    vectors_path,
    with_biases,
)
from tests.benchmarks.worlds import ITEMS, tiny_parts


def job(out: Path, *, epochs: tuple[int, ...] = (1, 3), limit: float = 1e9) -> Job:
    return Job("tiny", {"a": 1}, "train.npz", str(out), list(epochs), threads=1, seed=0, limit=limit)


def vectors() -> tuple[np.ndarray, np.ndarray]:
    return np.ones((2, 1)), np.ones((3, 1))


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    job(tmp_path).write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job(tmp_path)


def test_only_the_wanted_epochs_are_saved_and_all_are_timed(tmp_path: Path) -> None:
    recorder = Recorder(job(tmp_path))
    for _ in range(3):
        recorder.epoch_done(vectors)
    recorder.write()
    assert [vectors_path(tmp_path, epoch).exists() for epoch in (1, 2, 3)] == [True, False, True]
    assert len(read_clock(tmp_path)["seconds"]) == 3


def test_after_the_limit_the_last_vectors_are_saved_and_the_fit_ends(tmp_path: Path) -> None:
    recorder = Recorder(job(tmp_path, epochs=(3,), limit=0))
    with pytest.raises(OutOfTime):
        recorder.epoch_done(vectors)
    assert vectors_path(tmp_path, 1).exists()


def test_biases_and_distances_become_inner_products() -> None:
    rng = np.random.default_rng(0)
    users, items, biases = rng.normal(size=(5, 3)), rng.normal(size=(7, 3)), rng.normal(size=7)
    u, v = with_biases(users, items, biases)
    assert u @ v.T == pytest.approx(users @ items.T + biases)
    u, v = from_distances(users, items)
    squared = ((users[:, None] - items[None]) ** 2).sum(axis=2)
    assert (np.argsort(-(u @ v.T), axis=1) == np.argsort(squared, axis=1)).all()


def test_a_fit_comes_back_epoch_by_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_this_process(command: list[str], **_: Any) -> None:
        run.main(Path(command[-1]))

    monkeypatch.setitem(run.MODULES, "tiny", "tests.benchmarks.tiny_peer")
    monkeypatch.setattr(peer_fits, "peers_python", lambda: Path("python"))
    monkeypatch.setattr(subprocess, "run", in_this_process)
    parts = tiny_parts(tmp_path)
    models = list(peer_fits.peer("tiny", parts, {}, tmp_path / "fit", epochs=[1, 3], threads=1))
    assert [model.epoch for model in models] == [1, 3]
    assert models[0].seconds < models[1].seconds
    best = models[0].lists(parts.to_choose, 1)[:, 0]
    unseen = [max(set(range(ITEMS)) - set(row.indices)) for row in parts.to_choose.seen]
    assert best.tolist() == unseen
