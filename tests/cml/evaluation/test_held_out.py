from __future__ import annotations

import numpy as np
import pytest

from cml.data.dataset import Dataset
from cml.data.pairs import pair_matrix, stored
from cml.evaluation.held_out import HeldOut, rows_over
from cml.vocabulary import Vocabulary


def held_out(pairs: list[tuple[str, str]], seen: list[tuple[int, int]], liked: list[bool] | None = None):
    """Held-out pairs by id, for a model that knows users a, b, c and items p, q, r, s."""
    users, items = Vocabulary(sorted({user for user, _ in pairs})), Vocabulary(sorted({i for _, i in pairs}))
    dataset = Dataset.from_rows(
        users,
        items,
        users.rows(user for user, _ in pairs),
        items.rows(item for _, item in pairs),
        liked=np.array(liked) if liked else None,
    )
    matrix = pair_matrix(np.array([u for u, _ in seen], int), np.array([i for _, i in seen], int), (3, 4))
    return HeldOut.of(dataset, Vocabulary("abc"), Vocabulary("pqrs"), matrix)


def targets(held: HeldOut) -> list[list[int]]:
    return [held.targets[[row]].indices.tolist() for row in range(len(held))]


def test_targets_are_the_held_out_items_in_the_models_rows() -> None:
    held = held_out([("c", "s"), ("a", "q"), ("c", "p")], seen=[])
    assert held.user_rows.tolist() == [0, 2]
    assert targets(held) == [[1], [0, 3]]
    assert held.counts.tolist() == [1, 2]


def test_items_unknown_to_the_model_count_as_misses_of_their_user() -> None:
    held = held_out([("a", "q"), ("a", "new"), ("b", "new"), ("b", "newer")], seen=[])
    assert targets(held) == [[1], []]
    assert held.missing.tolist() == [1, 2]
    assert held.counts.tolist() == [2, 2]
    assert held.unknown_items == 2


def test_users_unknown_to_the_model_are_counted_and_not_ranked() -> None:
    held = held_out([("stranger", "p"), ("stranger", "q"), ("b", "p")], seen=[])
    assert held.user_rows.tolist() == [1]
    assert held.unknown_users == 1


def test_a_pair_that_was_seen_is_not_held_out() -> None:
    held = held_out([("a", "p"), ("b", "q"), ("b", "r")], seen=[(0, 0), (1, 1), (1, 0)])
    assert held.user_rows.tolist() == [1]
    assert targets(held) == [[2]]
    assert held.seen.toarray().tolist() == [[1, 1, 0, 0]]
    assert held.already_seen == 2


def test_only_liked_pairs_are_targets() -> None:
    held = held_out([("a", "p"), ("a", "q"), ("b", "r")], seen=[], liked=[False, True, False])
    assert held.user_rows.tolist() == [0]
    assert targets(held) == [[1]]


def test_users_can_be_found_again_in_the_data_they_came_from() -> None:
    held = held_out([("stranger", "p"), ("c", "q"), ("b", "r")], seen=[])
    assert held.user_rows.tolist() == [1, 2]
    assert held.source_rows.tolist() == [0, 1]  # of b, c, stranger


def test_nobody_in_common_leaves_an_empty_value() -> None:
    held = held_out([("stranger", "p")], seen=[])
    assert len(held) == 0
    assert held.targets.shape == (0, 4)


def test_some_of_the_users_can_be_taken() -> None:
    held = held_out([("a", "q"), ("b", "r"), ("b", "new"), ("c", "s")], seen=[(1, 0)]).take(np.array([1, 2]))
    assert (held.user_rows.tolist(), held.source_rows.tolist()) == ([1, 2], [1, 2])
    assert targets(held) == [[2], [3]]
    assert held.seen.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert held.counts.tolist() == [2, 1]


@pytest.mark.parametrize("ids", ["abc", "abcde", "ab", "cba", "", "xabc"])
def test_rows_over_equals_looking_up_each_id(ids: str) -> None:
    known = Vocabulary("abc")
    assert rows_over(known, Vocabulary(ids)).tolist() == known.rows(ids).tolist()


def test_ids_that_only_begin_alike_are_not_taken_for_each_other() -> None:
    assert rows_over(Vocabulary(["a", "bc"]), Vocabulary(["a", "b", "c"])).tolist() == [0, -1, -1]


def test_stored_pairs_are_found_whatever_their_value_or_order() -> None:
    matrix = pair_matrix(np.array([1, 0, 1]), np.array([2, 1, 0]), (2, 3))
    matrix.data[:] = 0
    rows, columns = np.repeat(np.arange(2), 3), np.tile(np.arange(3), 2)
    assert stored(matrix, rows, columns).tolist() == [False, True, False, True, False, True]
    matrix.indices[1:] = matrix.indices[:0:-1].copy()
    matrix.has_sorted_indices = False
    assert stored(matrix, rows, columns).tolist() == [False, True, False, True, False, True]
