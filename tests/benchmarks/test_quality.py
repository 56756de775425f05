"""Closed-form peers against their definitions, the choice on validation data, and the whole harness."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import quality, tuning
from benchmarks.closed_form import ease_lists
from benchmarks.fitted import Fitted, by_inner_product
from tests.benchmarks.worlds import ITEMS, USERS, tiny_parts, write_interactions


def slow_ease(x: np.ndarray, penalty: float) -> np.ndarray:
    """Scores by the items x items inverse of the paper."""
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return x @ weights


def test_ease_equals_its_definition(tmp_path: Path) -> None:
    parts = tiny_parts(tmp_path)
    x = parts.positives.toarray()
    scores = slow_ease(x, 2.5)
    scores[x > 0] = -np.inf
    expected = np.argsort(-scores, axis=1)[:, :5]
    assert ease_lists(parts.positives, 2.5)(parts.to_choose, 5).tolist() == expected.tolist()


def test_validation_chooses_settings_and_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = tiny_parts(tmp_path)
    rng = np.random.default_rng(0)
    users = np.eye(2)[[int(parts.train.users[row][1:]) % 2 for row in range(USERS)]]
    items = np.eye(2)[[int(parts.train.items[row][1:]) // (ITEMS // 2) for row in range(ITEMS)]]
    good, bad = by_inner_product(users, items), by_inner_product(users, -items)
    noise = by_inner_product(rng.normal(size=users.shape), items)

    def fit(settings, _work):  # type: ignore[no-untyped-def]
        kinds = [noise, good, bad] if settings["good"] else [noise, bad]
        yield from (Fitted(lists, epoch, 0.0, 0.0) for epoch, lists in enumerate(kinds, start=1))

    monkeypatch.setattr(quality, "CHOOSES", "recall@10")  # within 50, every model finds everything
    model, settings, trials = quality.choose(fit, [{"good": False}, {"good": True}], parts, tmp_path)
    assert (settings, model.epoch) == ({"good": True}, 2)
    assert [trial["epoch"] for trial in trials] == [1, 2]


def test_an_absent_data_set_is_skipped_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality.main(["--data", str(tmp_path / "nowhere"), "--results", str(tmp_path / "results")])
    assert "skipped: nowhere: there is no such directory" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_whole_harness_runs_on_a_tiny_set_and_tells_where_it_comes_from(tmp_path: Path) -> None:
    data = write_interactions(tmp_path / "tiny")
    models = ["popularity", "item-knn", "ease", "ials"]
    options = ["--configurations", "1", "--seeds", "1", "--threads", "1", "--results", str(tmp_path)]
    ours = "--set epochs=2 --set dim=8"
    quality.main(["--data", str(data), "--models", *models, "--ours", ours, *options])
    text = (tmp_path / "quality-tiny.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert [row["model"] for row in record["models"]] == [*models, "cml train"]
    assert all(0 < row["test"]["recall@10"] <= 1 for row in record["models"])
    assert record["against_best_peer"]["ndcg@10"]["peer"] in models
    assert str(tmp_path / "tiny") not in text
    assert {"date", "command", "machine", "versions", "split", "seeds"} <= record.keys()


def test_a_peer_that_fails_is_told_and_does_not_end_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tiny_parts(tmp_path)

    def no_room(*_: object) -> None:
        raise quality.Skipped("no room")

    monkeypatch.setattr(quality, "_peer_row", no_room)
    monkeypatch.setattr(quality, "_our_row", lambda *_: {"model": "cml train"})
    given = argparse.Namespace(models=["ease"], threads=1, configurations=1, fit_limit=1.0, seeds=1)
    *_, record = quality.compared(parts, tmp_path, given)
    assert record["models"] == [{"model": "ease", "skipped": "no room"}, {"model": "cml train"}]


@pytest.mark.slow
def test_defaults_and_auto_are_judged_on_the_same_test_pairs(tmp_path: Path) -> None:
    data = write_interactions(tmp_path / "tiny")
    tuning.main(["--data", str(data), "--budget", "4s", "--threads", "1", "--results", str(tmp_path)])
    record = json.loads((tmp_path / "tuning-tiny.json").read_text(encoding="utf-8"))
    defaults, auto = record["models"]["defaults"], record["models"]["auto"]
    assert len(defaults) == len(auto) == 1
    for metric, ratio in record["ratios"].items():
        assert ratio == pytest.approx(defaults[0]["test"][metric] / auto[0]["test"][metric], abs=1e-3)
