"""What judges a retraining, what chooses its epoch, what is learned from: by time, and each pair in one part only."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cml.data.dataset import Dataset
from cml.errors import DataError
from cml.retraining.parts import parts
from cml.vocabulary import Vocabulary

NAN = float("nan")


def data_of(times: list[float], liked: list[bool] | None = None) -> Dataset:
    """One user, pair n with item n, at these times; pairs that are not liked are disliked."""
    n = len(times)
    likes = np.ones(n, bool) if liked is None else np.array(liked)
    return Dataset.from_rows(
        Vocabulary(["u"]),
        Vocabulary([f"i{number}" for number in range(n)]),
        np.zeros(n, int),
        np.arange(n),
        disliked=~likes,
        timestamps=np.array(times, float),
    )


def unseen(n: int, *numbers: int) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    mask[list(numbers)] = True
    return mask


def items(data: Dataset) -> list[int]:
    return sorted(data.item_rows.tolist())


def test_the_latest_unseen_likes_judge_as_many_before_them_choose_and_the_rest_is_learned_from() -> None:
    data = data_of([50, 10, 90, 20, 80, 30, 70, 40, 60, 0])
    found = parts(data, np.ones(10, bool), 0.2)
    assert items(found.judged) == [2, 4]  # at 90 and 80
    assert items(found.choose) == [6, 8]  # at 70 and 60
    assert items(found.learn) == [0, 1, 3, 5, 7, 9]
    assert items(found.rest) == [0, 1, 3, 5, 6, 7, 8, 9]
    assert all(one.users is data.users and one.items is data.items for one in (found.judged, found.learn))


def test_what_the_current_version_has_seen_is_never_held_out() -> None:
    data = data_of([0, 1, 2, 3, 4, 99, 98, 97, 96, 95])
    found = parts(data, unseen(10, 0, 1, 2, 3, 4), 0.1)
    assert items(found.judged) == [4]
    assert items(found.choose) == [3]
    assert items(found.rest) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_few_unseen_likes_judge_with_at_most_two_thirds_and_the_others_choose() -> None:
    data = data_of([float(time) for time in range(100)])
    found = parts(data, unseen(100, 90, 91, 92), 0.1)
    assert items(found.judged) == [91, 92]
    assert items(found.choose) == [90]
    assert len(found.learn) == 97
    alone = parts(data, unseen(100, 90), 0.1)
    assert (items(alone.judged), len(alone.choose), len(alone.learn)) == ([90], 0, 99)
    assert alone.learn.fingerprint() == alone.rest.fingerprint()


def test_unseen_dislikes_from_the_time_of_the_held_out_pairs_on_are_dropped_and_older_ones_stay() -> None:
    times = [0.0, 10, 20, 30, 40, 25, 35, 36, 5, 45]
    liked = [True, True, True, True, True, False, False, False, False, False]
    found = parts(data_of(times, liked), unseen(10, 0, 1, 2, 3, 4, 5, 6, 8, 9), 0.2)
    assert items(found.judged) == [4]  # from 40 on: the dislike at 45 goes
    assert items(found.choose) == [3]  # from 30 on: the one at 35, too
    assert items(found.rest) == [0, 1, 2, 3, 5, 6, 7, 8]  # 7, at 36, was seen before
    assert items(found.learn) == [0, 1, 2, 5, 7, 8]


def test_a_like_of_unknown_time_counts_as_the_earliest_and_an_unseen_dislike_without_one_stays() -> None:
    times, liked = [NAN, 3, NAN, 1, 2, NAN], [True, True, True, True, True, False]
    found = parts(data_of(times, liked), np.ones(6, bool), 0.2)
    assert (items(found.judged), items(found.choose)) == ([1], [4])
    assert items(found.learn) == [0, 2, 3, 5]


def test_equal_times_are_held_out_in_the_order_of_the_data() -> None:
    found = parts(data_of([7.0] * 6), np.ones(6, bool), 0.34)
    assert (items(found.judged), items(found.choose)) == ([4, 5], [2, 3])


def test_without_a_time_to_go_by_it_is_said_how_to_name_the_column() -> None:
    with pytest.raises(DataError, match="--timestamp-column"):
        parts(data_of([NAN, NAN, 5.0]), unseen(3, 0, 1), 0.5)


def test_when_nothing_liked_is_left_it_is_said_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"of 2 liked pairs none is left.*--judge-share"):
        parts(data_of([1.0, 2.0, 3.0], [True, True, False]), np.ones(3, bool), 0.9)


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 8) | st.just(NAN), st.booleans(), st.booleans()), min_size=3, max_size=40
    ),
    share=st.floats(0.01, 0.6),
)
@settings(deadline=None)
def test_no_pair_stands_in_two_parts_and_nothing_held_out_is_older_than_an_unseen_like_learned_from(
    pairs: list[tuple[float, bool, bool]], share: float
) -> None:
    times, liked, new = (list(column) for column in zip(*pairs, strict=True))
    data, fresh = data_of(times, liked), np.array(new)
    if np.isnan(data.timestamps[data.liked & fresh]).all():
        with pytest.raises(DataError, match="--timestamp-column"):
            parts(data, fresh, share)
        return
    with suppress(DataError):  # nothing liked is left to learn from
        the_parts_hold_together(data, fresh, share)


def the_parts_hold_together(data: Dataset, fresh: NDArray[np.bool_], share: float) -> None:
    found = parts(data, fresh, share)
    learn, choose, judged, rest = (
        set(items(one)) for one in (found.learn, found.choose, found.judged, found.rest)
    )
    assert not learn & choose
    assert not judged & (learn | choose | rest)
    assert learn | choose <= rest
    assert found.judged.liked.all()
    assert found.choose.liked.all()
    assert all(fresh[row] for row in judged | choose)
    assert set(np.flatnonzero(~fresh)) <= learn
    assert 1 <= len(judged) <= max(1, round(share * int(data.liked.sum())))
    earliest = np.nan_to_num(data.timestamps, nan=-np.inf)
    learned_likes = [earliest[row] for row in learn if fresh[row] and data.liked[row]]
    assert max(learned_likes, default=-np.inf) <= min(earliest[row] for row in judged | choose)
