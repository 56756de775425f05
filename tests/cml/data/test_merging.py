from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cml.data.merging import Rows, frequent, merge
from tests.reference.pairs import slow_frequent, slow_merge

# Few users, items, ratings and times, so that pairs repeat and tie.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.none() | st.integers(1, 3),
        st.integers(1, 4),
        st.none() | st.integers(-2, 1),
    ),
    min_size=1,
    max_size=12,
)


def as_rows(rows: list[tuple]) -> Rows:
    users, items, ratings, weights, times = zip(*rows, strict=True)
    return Rows(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array([np.nan if value is None else value for value in ratings], np.float32),
        np.array(weights, np.float32),
        np.array([np.nan if value is None else value for value in times], np.float64),
    )


def as_tuples(rows: Rows) -> list[tuple]:
    columns = (rows.user_rows, rows.item_rows, rows.ratings, rows.weights, rows.timestamps)
    return [
        tuple(None if np.isnan(value) else value for value in row)
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]


@pytest.mark.parametrize("rule", ["last", "first", "max", "sum"])
@given(rows=ROWS)
def test_merging_equals_the_slow_version(rule, rows):
    assert as_tuples(merge(as_rows(rows), rule)) == slow_merge(rows, rule)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("last", [(1, 1, 9, 1, 5), (0, 1, 2, 1, 30)]),
        ("first", [(0, 1, 5, 1, 10), (1, 1, 9, 1, 5)]),
        ("max", [(0, 1, 5, 1, 10), (1, 1, 9, 1, 5)]),
        ("sum", [(1, 1, 9, 1, 5), (0, 1, 11, 4, 30)]),
    ],
)
def test_rules_on_one_pair_in_three_rows(rule, expected):
    rows = [(0, 1, 5, 1, 10), (1, 1, 9, 1, 5), (0, 1, 2, 1, 30), (0, 1, 4, 2, 20)]
    assert as_tuples(merge(as_rows(rows), rule)) == expected


def test_without_times_the_order_of_the_file_decides():
    rows = [(0, 0, 1, 1, None), (0, 0, 3, 1, None), (0, 0, 2, 1, None)]
    assert [as_tuples(merge(as_rows(rows), rule))[0][2] for rule in ("last", "first", "max")] == [2, 1, 3]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=24, unique=True),
    min_user=st.integers(1, 3),
    min_item=st.integers(1, 3),
)
def test_the_frequent_ones_are_the_fixed_point_whatever_is_dropped_first(pairs, min_user, min_item):
    user_rows, item_rows = (np.array(rows, np.int32) for rows in zip(*pairs, strict=True))
    users, items = frequent(user_rows, item_rows, min_user=min_user, min_item=min_item)
    kept = {(user, item) for user, item in pairs if users[user] and items[item]}
    assert kept == slow_frequent(pairs, min_user, min_item)


def test_dropping_goes_on_along_a_chain():
    # A path u0-i0-u1-i1-...: every user has two items except the last, whose loss unravels everything.
    pairs = [(n, n) for n in range(10)] + [(n, n + 1) for n in range(9)]
    user_rows, item_rows = (np.array(rows, np.int32) for rows in zip(*pairs, strict=True))
    users, items = frequent(user_rows, item_rows, min_user=2, min_item=2)
    assert not users.any()
    assert not items.any()
