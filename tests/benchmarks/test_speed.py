"""Curves and races: who reached what when."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ours_timed import timed
from benchmarks.speed import Curve, race, speed_of
from tests.benchmarks.worlds import tiny_parts

THEIRS = Curve([1, 2, 3], [1.0, 2.0, 4.0], [2.0, 4.0, 8.0], [0.1, 0.3, 0.2])
OURS = Curve([1, 2], [0.5, 1.0], [0.6, 1.2], [0.2, 0.4])


def test_a_race_ends_at_the_first_epoch_that_reaches_the_peers_best() -> None:
    found = race("implicit-als", [THEIRS], "cml", [OURS])
    assert found["target"] == 0.3
    assert found["seconds"] == {"peer": 2.0, "ours": 1.0, "ratio": 0.5}
    assert found["cpu_seconds"] == {"peer": 4.0, "ours": 1.2, "ratio": 0.3}


def test_a_quality_that_is_never_reached_has_no_time() -> None:
    assert OURS.time_to(0.5) is None
    found = race("cml", [OURS], "implicit-als", [THEIRS])
    assert found["seconds"] == {"peer": 1.0, "ours": None, "ratio": None}


def test_the_fastest_repeat_counts_and_what_comes_before_the_second_epoch_is_no_part_of_the_rate() -> None:
    slow = Curve([1, 2, 3], [2.0, 4.0, 8.0], [2.0, 4.0, 8.0], [0.1, 0.3, 0.2])
    found = speed_of("lightfm-warp", [slow, THEIRS], pairs=100)
    assert found["interactions_per_second"] == pytest.approx(100 * 2 / 3, abs=0.5)
    assert THEIRS.rate(100, cpu=True) == pytest.approx(100 * 2 / 6)


def test_our_own_run_is_timed_epoch_by_epoch(tmp_path: Path) -> None:
    parts = tiny_parts(tmp_path)
    models = list(timed(parts, ("dim=4", "epochs=3", "start=random"), threads=1))
    assert [model.epoch for model in models] == [1, 2, 3]
    assert 0 < models[0].seconds < models[1].seconds < models[2].seconds
    assert models[0].lists(parts.to_choose, 3).shape == (len(parts.to_choose), 3)
