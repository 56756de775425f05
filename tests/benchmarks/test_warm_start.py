"""A retraining from the version before, beside one from nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.warm_start import Run, compared, main, summary
from cml.config import RunConfig
from cml.training.space import Space
from cml.training.trainer import Fit
from tests.cml.test_retrain_command import QUICK, two_groups


def run_of(*reached: tuple[float, float], start: float = 0.5) -> Run:
    return Run(Fit(Space(None, None, 1.0), [], 1, "done", RunConfig()), reached, start)  # type: ignore[arg-type]


def test_the_time_to_the_cold_best_is_compared_with_the_first_warm_epoch_that_is_as_good() -> None:
    cold = run_of((2.0, 0.1), (4.0, 0.3), (6.0, 0.2))
    warm = run_of((0.5, 0.2), (1.0, 0.3), (1.5, 0.4))
    row = compared(cold, warm)
    assert (row["cold"]["seconds"], row["warm"]["seconds"], row["ratio"]) == (4.0, 1.0, 0.25)
    assert (row["cold"]["best"], row["warm"]["best"]) == (0.3, 0.4)
    assert (row["cold"]["total"], row["warm"]["total"]) == (6.0, 1.5)


def test_a_warm_training_that_never_gets_there_counts_as_not_reached() -> None:
    cold = run_of((2.0, 0.4))
    rows = [compared(cold, run_of((1.0, 0.2))), compared(cold, run_of((1.0, 0.4)))]
    assert rows[0]["ratio"] is None
    told = summary(rows)
    assert (told["reached"], told["median_ratio"], told["worst_ratio"]) == ("1 of 2", 0.5, 0.5)
    assert told["quality"] == pytest.approx(0.75)


@pytest.mark.slow
def test_a_record_has_every_round_of_every_seed(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    raw = two_groups(tmp_path / "raw.csv", likes=12).read_bytes()
    (tmp_path / "tiny" / "interactions.csv.gz").write_bytes(gzip.compress(raw))
    settings = [word for setting in QUICK if "publish" not in setting for word in ("--set", setting)]
    main(["--data", str(tmp_path / "tiny"), "--seeds", "2", *settings, "--results", str(tmp_path)])
    found = json.loads((tmp_path / "warm-start-tiny.json").read_text())
    assert [(row["seed"], row["pairs"]) for row in found["rounds"]] == [
        (seed, pairs) for seed in (0, 1) for pairs in (576, 672, 768, 864)
    ]
    assert found["command"].startswith("python -m benchmarks.warm_start --data DIR/tiny")
