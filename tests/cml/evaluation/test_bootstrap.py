from __future__ import annotations

import numpy as np
import pytest

from cml.evaluation.bootstrap import mean_intervals


def test_intervals_agree_with_the_normal_approximation_for_many_users() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(2, 1, 2000), rng.exponential(5, 2000)])
    low, high = mean_intervals(values, rng, resamples=4000).T
    error = 1.96 * values.std(axis=0) / np.sqrt(2000)
    assert low == pytest.approx(values.mean(axis=0) - error, abs=0.1 * error.max())
    assert high == pytest.approx(values.mean(axis=0) + error, abs=0.1 * error.max())


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    rng = np.random.default_rng(1)
    intervals = np.array(
        [mean_intervals(rng.normal(size=(60, 1)), rng, resamples=200)[0] for _ in range(300)]
    )
    held = np.mean((intervals[:, 0] < 0) & (intervals[:, 1] > 0))
    assert 0.90 < held < 0.98


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = np.random.default_rng(2).normal(size=(50, 1))
    narrow, wide = (mean_intervals(values, np.random.default_rng(0), level=level)[0] for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_same_generator_gives_the_same_intervals_in_whatever_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(3).normal(size=(30, 2))
    whole = mean_intervals(values, np.random.default_rng(0))
    monkeypatch.setattr("cml.evaluation.bootstrap._WEIGHTS", 100)
    assert np.allclose(mean_intervals(values, np.random.default_rng(0)), whole)


def test_nobody_has_no_interval() -> None:
    assert np.isnan(mean_intervals(np.zeros((0, 2)), np.random.default_rng(0))).all()
