from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cml.config import DataConfig, SplitConfig
from cml.data.reading import read_interactions, read_together
from cml.data.split import given as split_given
from cml.data.split import split
from cml.errors import DataError
from tests.cml.data_files import dataset_of, pairs_of, write_rows

METHODS = ["random", "leave-last", "time"]


@st.composite
def datasets(draw):
    """Each user likes three items at least, so that every method finds something to hold out."""
    pairs, liked, times = [], [], []
    for user in range(draw(st.integers(2, 5))):
        for item in draw(st.lists(st.integers(0, 9), min_size=4, max_size=9, unique=True)):
            pairs.append((user, item))
            times.append(draw(st.integers(0, 6)))
            liked.append(len(pairs) == 1 or pairs[-2][0] != user or draw(st.booleans()))
    return dataset_of(pairs, liked=liked, timestamps=times)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def attempt(dataset, config):
    """The split, or None where this data leaves a part empty, which is refused by design."""
    try:
        return split(dataset, config, rng())
    except DataError as error:
        assert "leaves no liked pair" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("method", METHODS)
@given(dataset=datasets())
def test_parts_are_disjoint_add_up_and_hold_out_liked_pairs_only(method, dataset):
    result = attempt(dataset, SplitConfig(method=method, ratio=0.4))
    if result is None:
        return
    train, held = set(pairs_of(result.train)), set(pairs_of(result.held_out))
    assert not train & held
    assert train | held <= set(pairs_of(dataset))
    assert len(result.train) + len(result.held_out) + result.dropped == len(dataset)
    assert result.held_out.liked.all()
    assert result.dropped == 0 or method == "time"


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_split_and_only_random_depends_on_it(method):
    pairs = [(user, item) for user in range(20) for item in range(10)]
    dataset = dataset_of(pairs, timestamps=[float(item) for _, item in pairs])
    config = SplitConfig(method=method)
    held = [pairs_of(split(dataset, config, rng(seed)).held_out) for seed in (0, 0, 1)]
    assert held[0] == held[1]
    assert (held[0] != held[2]) == (method == "random")


def test_random_takes_the_ratio_of_each_users_liked_pairs_and_leaves_one():
    counts = {0: 10, 1: 5, 2: 1, 3: 2, 4: 3}
    pairs = [(user, item) for user, n in counts.items() for item in range(n)]
    held = split(dataset_of(pairs), SplitConfig(method="random", ratio=0.5), rng()).held_out
    assert np.bincount(held.user_rows, minlength=5).tolist() == [5, 3, 0, 1, 2]
    most = split(dataset_of(pairs), SplitConfig(method="random", ratio=0.99), rng()).held_out
    assert np.bincount(most.user_rows, minlength=5).tolist() == [9, 4, 0, 1, 2]


def test_random_gives_every_liked_pair_the_same_chance():
    dataset = dataset_of([(0, item) for item in range(10)])
    config = SplitConfig(method="random", ratio=0.3)
    held = np.concatenate([split(dataset, config, rng(seed)).held_out.item_rows for seed in range(1000)])
    assert np.bincount(held, minlength=10) == pytest.approx(300, abs=75)  # five standard deviations


def test_leave_last_takes_the_latest_liked_pairs_of_users_who_have_more_than_that():
    pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 5)]
    liked = [True, True, True, False, True, True, True]
    times = [30.0, 10.0, 20.0, 99.0, 1.0, 2.0, 3.0]
    dataset = dataset_of(pairs, liked=liked, timestamps=times)
    one = split(dataset, SplitConfig(method="leave-last", n=1), rng()).held_out
    two = split(dataset, SplitConfig(method="leave-last", n=2), rng()).held_out
    assert pairs_of(one) == [("u0", "i0"), ("u1", "i1")]
    assert pairs_of(two) == [("u0", "i0"), ("u0", "i2")]  # user 1 has two, and keeps them


def test_leave_last_counts_unknown_times_as_the_earliest():
    dataset = dataset_of([(0, 0), (0, 1), (0, 2)], timestamps=[np.nan, 5.0, np.nan])
    assert pairs_of(split(dataset, SplitConfig(method="leave-last"), rng()).held_out) == [("u0", "i1")]


def test_leave_last_resolves_ties_alike_in_whatever_order_the_file_is(tmp_path):
    rows = [(f"u{user}", f"i{item}", 100) for user in range(30) for item in range(6)]
    held = []
    for seed in range(3):
        order = rng(seed).permutation(len(rows))
        path = write_rows(
            tmp_path / f"{seed}.csv", ["user_id", "item_id", "timestamp"], [rows[at] for at in order]
        )
        dataset = read_interactions(path, DataConfig()).dataset
        held.append(set(pairs_of(split(dataset, SplitConfig(method="leave-last"), rng()).held_out)))
    assert held[0] == held[1] == held[2]
    assert len(held[0]) == 30


@given(dataset=datasets(), ratio=st.floats(0.05, 0.9))
def test_time_leaves_nothing_of_the_future_in_training(dataset, ratio):
    result = attempt(dataset, SplitConfig(method="time", ratio=ratio))
    if result is not None:
        assert result.train.timestamps.max() < result.held_out.timestamps.min()
        future = dataset.timestamps >= result.held_out.timestamps.min()
        assert len(result.held_out) == np.count_nonzero(future & dataset.liked)


def test_time_holds_out_the_latest_ratio_of_all_pairs():
    dataset = dataset_of([(n % 7, n) for n in range(100)], timestamps=np.arange(100.0)[::-1])
    result = split(dataset, SplitConfig(method="time", ratio=0.25), rng())
    assert sorted(result.held_out.timestamps.tolist()) == list(range(75, 100))


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.29, 0.45, 0.55, 0.99])
def test_time_counts_exactly_in_spite_of_binary_fractions(ratio):
    dataset = dataset_of([(0, n) for n in range(100)], timestamps=np.arange(100.0))
    held = split(dataset, SplitConfig(method="time", ratio=ratio), rng()).held_out
    assert len(held) == round(100 * ratio)


def test_time_keeps_one_instant_together_and_drops_what_cannot_be_placed():
    times = [1.0, 2.0, 3.0, 3.0, 3.0, np.nan]
    liked = [True, True, True, True, False, True]
    dataset = dataset_of([(0, n) for n in range(6)], liked=liked, timestamps=times)
    result = split(dataset, SplitConfig(method="time", ratio=0.2), rng())
    assert result.train.timestamps.tolist() == [1.0, 2.0]
    assert pairs_of(result.held_out) == [("u0", "i2"), ("u0", "i3")]
    assert result.dropped == 2  # unliked in the future, and of unknown time


@pytest.mark.parametrize("method", ["leave-last", "time"])
def test_methods_that_need_times_name_the_one_that_does_not(method):
    with pytest.raises(DataError, match=f"split {method} needs timestamps.*split.method=random"):
        split(dataset_of([(0, 0), (0, 1)]), SplitConfig(method=method), rng())


def test_a_split_that_holds_out_nothing_is_refused():
    dataset = dataset_of([(0, 0), (1, 1)], timestamps=[1.0, 1.0])
    for method, part in [("random", "held-out"), ("leave-last", "held-out"), ("time", "training")]:
        with pytest.raises(DataError, match=f"leaves no liked pair in the {part} part"):
            split(dataset, SplitConfig(method=method), rng())


def test_users_and_items_of_held_out_pairs_only_are_counted():
    dataset = dataset_of([(0, 0), (0, 1), (1, 2), (1, 3)], timestamps=[1.0, 2.0, 8.0, 9.0])
    result = split(dataset, SplitConfig(method="time", ratio=0.5), rng())
    assert (result.users_only_held_out, result.items_only_held_out) == (1, 2)


def test_given_files_are_made_disjoint(tmp_path):
    files = {
        "train": write_rows(tmp_path / "a.csv", ["user_id", "item_id"], [("u", "x"), ("u", "y")]),
        "test": write_rows(tmp_path / "b.csv", ["user_id", "item_id"], [("u", "y"), ("v", "z")]),
    }
    data = {name: reading.dataset for name, reading in read_together(files, DataConfig()).items()}
    result = split_given(data["train"], data["test"])
    assert (pairs_of(result.held_out), result.dropped) == ([("v", "z")], 1)
    assert (result.users_only_held_out, result.items_only_held_out) == (1, 1)
    with pytest.raises(DataError, match="none of the 2 held-out pairs"):
        split_given(data["train"], data["train"])
