from __future__ import annotations

import numpy as np
import pytest

from cml.data.dataset import Dataset
from cml.errors import ConfigError, DataError
from cml.evaluation import evaluate as evaluation
from cml.evaluation.evaluate import Evaluation, HeldOut, compare, evaluate, score
from cml.evaluation.metrics import cutoff
from tests.cml.worlds import liked_sets, random_pairs, vocabulary
from tests.reference.ranking import slow_metrics, slow_squared_distance, slow_top

N_USERS, N_ITEMS, DIM = 30, 40, 4


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N_USERS, DIM)).astype("f4"), rng.normal(size=(N_ITEMS, DIM)).astype("f4")


def world() -> tuple[Dataset, HeldOut]:
    """Held-out pairs of 34 users and 50 items, of which the model knows 30 and 40."""
    train, test = random_pairs(N_USERS, N_ITEMS, 0.1, 0), random_pairs(34, 50, 0.06, 1)
    return test, HeldOut.of(test, train.users, train.items, train.seen())


def test_the_whole_evaluation_equals_the_slow_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_BLOCK", 7)
    users, items = points(0)
    test, held = world()
    got = evaluate(users, items, held, [3, 10]).metrics()
    lines = []
    listed: set[int] = set()
    for row, user in enumerate(held.user_rows):
        seen = set(held.seen[[row]].indices.tolist())
        wanted = liked_sets(test)[user] - seen
        best = slow_top([-slow_squared_distance(users[user], item) for item in items], seen, 10)
        known = {item for item in wanted if item < N_ITEMS}
        listed |= set(best[:3])
        lines.append(
            slow_metrics(best, known, len(wanted - known), 3)
            | slow_metrics(best, known, len(wanted - known), 10)
        )
    assert held.missing.any()
    for name in lines[0]:
        assert got[name] == pytest.approx(np.mean([line[name] for line in lines]))
    assert got["coverage@3"] == len(listed) / N_ITEMS


def test_lists_are_never_longer_than_the_catalogue() -> None:
    _, held_out = world()
    users, items = points(4)
    far = evaluate(users, items, held_out, ks=(10**12,))
    near = evaluate(users, items, held_out, ks=(len(items),))
    assert far.metrics()[f"recall@{10**12}"] == near.metrics()[f"recall@{len(items)}"]


def test_metrics_come_in_the_order_of_their_names_and_lengths() -> None:
    names = list(evaluate(*points(0), world()[1], [20, 5, 5]).metrics())
    assert names[:4] == ["recall@5", "recall@20", "precision@5", "precision@20"]
    assert names[-2:] == ["coverage@5", "coverage@20"]


def test_nobody_to_evaluate_on_is_an_error_that_says_why() -> None:
    train = random_pairs(5, 5, 0.5, 0)
    held = HeldOut.of(train, train.users, train.items, train.seen())
    with pytest.raises(DataError, match=f"0 held-out users .* and {len(train)} held-out pairs were seen"):
        score(np.zeros((0, 3), np.int32), held, [3])


def test_intervals_hold_the_mean_and_leave_out_coverage() -> None:
    found = evaluate(*points(0), world()[1], [10])
    means, intervals = found.metrics(), found.intervals(np.random.default_rng(0))
    assert set(means) - set(intervals) == {"coverage@10"}
    assert all(low <= means[name] <= high for name, (low, high) in intervals.items())


def an_evaluation(values: np.ndarray) -> Evaluation:
    return Evaluation(per_user={"ndcg@10": values}, coverage={})


def test_a_paired_comparison_sees_what_two_intervals_cannot() -> None:
    rng = np.random.default_rng(0)
    common = rng.uniform(size=400)  # users differ far more than the models do
    a, b = an_evaluation(common + 0.02 + rng.normal(0, 0.02, 400)), an_evaluation(common)
    assert a.intervals(rng)["ndcg@10"][0] < b.intervals(rng)["ndcg@10"][1]
    difference = compare(a, b, rng)["ndcg@10"]
    assert difference.clear
    assert 0.015 < difference.low < difference.mean < difference.high < 0.025


def test_a_comparison_has_a_direction_and_a_model_equals_itself() -> None:
    rng = np.random.default_rng(0)
    a, b = an_evaluation(rng.uniform(0.5, 1, 50)), an_evaluation(rng.uniform(0, 0.5, 50))
    assert compare(a, b, rng)["ndcg@10"].low > 0
    assert compare(b, a, rng)["ndcg@10"].high < 0
    assert not compare(a, a, rng)["ndcg@10"].clear


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@0", "ndcg@x", "loss@10", "coverage@10"])
def test_a_metric_without_a_value_for_each_user_cannot_be_chosen(name: str) -> None:
    with pytest.raises(ConfigError, match="like ndcg@10"):
        cutoff(name)


def test_a_metrics_name_holds_its_list_length() -> None:
    assert cutoff("hit_rate@20") == 20


def test_vocabularies_of_the_held_out_data_may_be_in_any_order() -> None:
    train, test = random_pairs(6, 7, 0.3, 0), random_pairs(6, 7, 0.3, 1)
    backwards = Dataset.from_rows(
        type(test.users)(reversed(vocabulary("u", 6))),
        type(test.items)(reversed(vocabulary("i", 7))),
        5 - test.user_rows,
        6 - test.item_rows,
    )
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(6, 2)).astype("f4"), rng.normal(size=(7, 2)).astype("f4")
    found = [
        evaluate(users, items, HeldOut.of(data, train.users, train.items, train.seen()), [2]).metrics()
        for data in (test, backwards)
    ]
    assert found[0] == found[1]
