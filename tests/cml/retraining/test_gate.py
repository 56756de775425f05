from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cml.artifact import Artifact
from cml.config import PublishConfig
from cml.data.dataset import Dataset
from cml.errors import QualityGateError
from cml.retraining.gate import Verdict, decide
from cml.vocabulary import Vocabulary
from tests.cml.worlds import model

N = 60
RULE = PublishConfig(metric="hit_rate@2", tolerance=0.02)


def ids(prefix: str, rows: range) -> Vocabulary:
    return Vocabulary(f"{prefix}{row}" for row in rows)


def line_model(directory: Path, good: range, known: range = range(N), seen: range = range(0)) -> Artifact:
    """User and item `n` stand at the same place for users in `good`, far apart for the others.

    Knows users and items of `known`; users of `seen` have interacted with their own item.
    """
    places = np.array([[float(row), 0.0] for row in known], np.float32)
    users = np.array([[float(row) if row in good else -1000.0, 0.0] for row in known], np.float32)
    rows = np.array([row - known.start for row in seen], int)
    train = Dataset.from_rows(ids("u", known), ids("i", known), rows, rows)
    return model(directory, train, users, places)


def own_items(rows: range) -> Dataset:
    """For each user of `rows` the item of the same number, held out."""
    return Dataset.from_rows(ids("u", rows), ids("i", rows), np.arange(len(rows)), np.arange(len(rows)))


def verdict(
    tmp_path: Path, candidate: dict, current: dict, held_out: range = range(2, N), rule: PublishConfig = RULE
) -> Verdict:
    return decide(
        line_model(tmp_path / "candidate", **candidate),
        line_model(tmp_path / "current", **current),
        own_items(held_out),
        rule,
        np.random.default_rng(0),
        threads=1,
    )


def test_an_equal_model_is_accepted(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"good": range(30)}, {"good": range(30)})
    assert found.accepted
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert found.candidate == found.other == pytest.approx(28 / 58)
    found.require()


def test_a_better_model_is_accepted_and_the_reason_has_the_figures(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"good": range(50)}, {"good": range(30)})
    assert found.accepted
    assert found.low > 0
    assert found.reason.startswith(
        f"not worse: hit_rate@2 {48 / 58:.4f}, current version {28 / 58:.4f} on 58"
    )


def test_a_clearly_worse_model_is_refused(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"good": range(30)}, {"good": range(50)})
    assert not found.accepted
    assert found.high < 0
    with pytest.raises(QualityGateError, match=r"not published: worse by more than 2\.0%: hit_rate@2"):
        found.require()


def test_a_fall_that_chance_explains_is_accepted_and_named(tmp_path: Path) -> None:
    found = verdict(
        tmp_path, {"good": range(49)}, {"good": range(50)}, rule=RULE.model_copy(update={"tolerance": 0})
    )
    assert found.accepted
    assert found.difference < 0
    assert found.reason.startswith("lower, but not clearly so")


def test_a_clear_fall_within_the_tolerance_is_accepted(tmp_path: Path) -> None:
    rule = RULE.model_copy(update={"tolerance": 0.5})
    found = verdict(tmp_path, {"good": range(40)}, {"good": range(50)}, rule=rule)
    assert found.high < 0
    assert found.accepted


def test_a_user_and_item_that_one_model_does_not_know_is_a_miss_for_that_one(tmp_path: Path) -> None:
    everything, half = {"good": range(N)}, {"good": range(N), "known": range(30)}
    assert verdict(tmp_path / "a", everything, half).other == pytest.approx(28 / 58)
    found = verdict(tmp_path / "b", half, everything)
    assert found.candidate == pytest.approx(28 / 58)
    assert not found.accepted


@pytest.mark.parametrize("who", ["candidate", "current"])
def test_what_either_model_has_seen_is_no_evidence(tmp_path: Path, who: str) -> None:
    trained = {"good": range(40), "seen": range(40)}  # knows its own training pairs by heart
    other = {"good": range(50)}
    found = verdict(
        tmp_path, trained if who == "candidate" else other, other if who == "candidate" else trained
    )
    assert found.users == 20
    assert {found.candidate, found.other} == {0.0, 0.5}


def test_what_either_has_seen_stays_out_of_both_lists(tmp_path: Path) -> None:
    """Users 0..29 like the item two places on; the three nearest are seen by the other model only."""
    held_out = Dataset.from_rows(ids("u", range(30)), ids("i", range(32)), np.arange(30), np.arange(30) + 2)
    items = np.array([[float(row), 0.0] for row in range(N)], np.float32)
    users = items + np.array([0.1, 0.0], np.float32)
    none = Dataset.from_rows(ids("u", range(N)), ids("i", range(N)), np.arange(0), np.arange(0))
    near = [(u, u + step) for u in range(2, 30) for step in (-2, -1, 0, 1)]
    all_seen = Dataset.from_rows(none.users, none.items, *np.array(near).T)
    models = [
        model(tmp_path / name, data, users, items) for name, data in (("fresh", none), ("trained", all_seen))
    ]
    rule = PublishConfig(metric="hit_rate@1")
    found = decide(models[0], models[1], held_out, rule, np.random.default_rng(0), threads=1)
    assert found.candidate == found.other == pytest.approx(28 / 30)


def test_disliked_pairs_are_no_evidence(tmp_path: Path) -> None:
    pairs = own_items(range(10))
    disliked = Dataset.from_rows(
        pairs.users, pairs.items, pairs.user_rows, pairs.item_rows, disliked=np.arange(10) < 4
    )
    models = [line_model(tmp_path / name, good=range(N)) for name in ("a", "b")]
    assert decide(*models, disliked, RULE, np.random.default_rng(0)).users == 6


def crowd_pleasers(users: range) -> Dataset:
    """Every user of `users` likes items 0 and 1; the item of the own number is held out."""
    both = np.repeat(np.arange(users.start, users.stop), 2)
    return Dataset.from_rows(ids("u", range(N)), ids("i", range(N)), both, np.tile([0, 1], len(users)))


def against_popularity(tmp_path: Path, good: range, held_out: Dataset, current: Artifact | None) -> Verdict:
    places = np.array([[float(row), 0.0] for row in range(N)], np.float32)
    users = np.array([[float(row) if row in good else -1000.0, 0.0] for row in range(N)], np.float32)
    candidate = model(tmp_path / "candidate", crowd_pleasers(range(2, 30)), users, places)
    return decide(candidate, current, held_out, RULE, np.random.default_rng(0), threads=1)


def the_favourites() -> Dataset:
    """Users 30..59 have the two items that all others like held out: popularity finds both."""
    return crowd_pleasers(range(30, N))


@pytest.mark.parametrize("seen_it_all", [True, False])
def test_where_no_version_can_be_compared_with_popularity_is_the_floor(
    tmp_path: Path, seen_it_all: bool
) -> None:
    current = line_model(tmp_path / "current", good=range(N), seen=range(N)) if seen_it_all else None
    better = against_popularity(tmp_path / "a", range(N), own_items(range(2, N)), current)
    assert better.accepted
    assert (better.against, better.candidate, better.other) == ("popularity", 1.0, pytest.approx(2 / 58))
    worse = against_popularity(tmp_path / "b", range(N), the_favourites(), None)
    assert not worse.accepted
    assert (worse.candidate, worse.other) == (0.0, 1.0)


def test_without_evidence_nothing_is_published(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"good": range(N), "seen": range(N)}, {"good": range(N)})
    assert not found.accepted
    assert "hand in pairs that it was not trained on" in found.reason
    assert found.as_dict()["candidate"] is None


def test_a_verdict_is_plain_json_values(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"good": range(30)}, {"good": range(50)}).as_dict()
    assert found["accepted"] is False
    assert found["metric"] == "hit_rate@2"
    assert {type(found[name]) for name in ("candidate", "other", "difference", "low", "high")} == {float}
