import faiss
import numpy as np
import pytest

from cml.codes import Codes
from cml.index import NO_ROW, ItemIndex, smallest
from cml.manifest import IndexInfo
from tests.cml.small_models import points
from tests.reference.lists import nearest


@pytest.fixture
def vectors():
    return points(700, 16, np.random.default_rng(0))


@pytest.fixture
def queries():
    return points(40, 16, np.random.default_rng(1))


@pytest.mark.parametrize("k", [1, 10, 100, 500, 700])
def test_the_index_agrees_with_brute_force_to_the_last_id(vectors, queries, k):
    rows, squared = ItemIndex(vectors).search(queries, k)
    for query, got_rows, got_squared in zip(queries, rows, squared, strict=True):
        wanted = nearest(query.tolist(), vectors.tolist(), k)
        assert got_rows.tolist() == [row for row, _ in wanted]
        assert np.sqrt(got_squared).tolist() == pytest.approx([distance for _, distance in wanted], abs=1e-5)


@pytest.mark.parametrize("n_allowed", [1, 5, 50, 400, 700])
def test_a_search_among_some_rows_agrees_with_brute_force_over_them(vectors, queries, n_allowed):
    allowed = np.random.default_rng(2).permutation(700)[:n_allowed]
    index = ItemIndex(vectors)
    for query in queries:
        got, squared = index.nearest_among(query, 20, np.sort(allowed))
        wanted = nearest(query.tolist(), vectors.tolist(), 20, allowed.tolist())
        assert got.tolist() == [row for row, _ in wanted]
        assert np.sqrt(squared).tolist() == pytest.approx([distance for _, distance in wanted], abs=1e-5)


def test_equal_vectors_among_some_rows_are_ordered_by_row():
    vectors = np.repeat(points(20, 4, np.random.default_rng(4)), 40, axis=0)
    allowed = np.arange(0, 800, 3)
    point = vectors[120] + np.float32(0.01)
    wanted = [row for row, _ in nearest(point.tolist(), vectors.tolist(), 30, allowed.tolist())]
    assert ItemIndex(vectors).nearest_among(point, 30, allowed)[0].tolist() == wanted


def test_one_point_alone_gets_what_it_gets_among_many(vectors):
    many = points(300, 16, np.random.default_rng(3))
    index = ItemIndex(vectors)
    rows, squared = index.search(many, 30)
    for at, point in enumerate(many):
        alone, alone_squared = index.nearest(point, 30)
        assert alone.tolist() == rows[at].tolist()
        assert alone_squared.tolist() == squared[at].tolist()


def test_a_longer_list_begins_with_the_shorter_one_even_among_equal_vectors():
    vectors = np.repeat(points(20, 4, np.random.default_rng(4)), 40, axis=0)
    point = points(1, 4, np.random.default_rng(5))
    index = ItemIndex(vectors)
    longest = index.search(point, 800)[0][0].tolist()
    assert sorted(longest) == list(range(800))
    for k in (1, 7, 39, 40, 41, 150, 799):
        assert index.search(point, k)[0][0].tolist() == longest[:k]


def test_items_closer_together_than_the_librarys_rounding_are_ordered_truly(monkeypatch):
    # From so many points on the library uses matrix products, whose rounding depends on the vectors' norms.
    monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 20)
    rng = np.random.default_rng(9)
    clump = points(1, 8, rng) + rng.normal(scale=1e-5, size=(2000, 8)).astype(np.float32)
    queries = clump[:30] + rng.normal(scale=1e-6, size=(30, 8)).astype(np.float32)
    rows, _ = ItemIndex(clump).search(queries, 5)
    for query, got in zip(queries, rows, strict=True):
        assert got.tolist() == [row for row, _ in nearest(query.tolist(), clump.tolist(), 5)]


def test_short_catalogues_pad_with_no_row_and_infinity():
    vectors = points(3, 4, np.random.default_rng(6))
    rows, squared = ItemIndex(vectors).search(vectors[:2], 5)
    assert rows.shape == squared.shape == (2, 5)
    assert (rows[:, 3:] == NO_ROW).all()
    assert np.isinf(squared[:, 3:]).all()
    assert rows[:, 0].tolist() == [0, 1]


def test_an_empty_selection_and_an_empty_catalogue_give_only_padding(vectors):
    assert ItemIndex(vectors).nearest_among(vectors[0], 3, np.empty(0, dtype=np.int64))[0].tolist() == []
    assert ItemIndex(vectors[:0]).nearest(vectors[0], 2)[0].tolist() == []
    rows, _ = ItemIndex(vectors[:0]).search(vectors[:1], 2)
    assert rows.tolist() == [[NO_ROW] * 2]


def test_the_smallest_values_come_sorted_and_equal_ones_by_position():
    values = np.array([3.0, 1.0, 2.0, 1.0, 1.0])
    assert smallest(values, 2).tolist() == [1, 3]
    assert smallest(values, 9).tolist() == [1, 3, 4, 2, 0]
    assert smallest(values, 0).tolist() == []


@pytest.fixture
def clustered():
    rng = np.random.default_rng(7)
    centres = points(40, 16, rng)
    vectors = centres[rng.integers(0, 40, 5000)] + rng.normal(scale=0.05, size=(5000, 16))
    users = centres[rng.integers(0, 40, 300)] + rng.normal(scale=0.05, size=(300, 16))
    return vectors.astype(np.float32), users.astype(np.float32)


def test_cells_reach_the_recall_that_they_state_on_other_points_too(clustered, tmp_path):
    vectors, users = clustered
    index = ItemIndex.build(vectors, users[:200], "cells", 0.95)
    index.save(tmp_path / "index.faiss")
    index = ItemIndex.load(vectors, index.info, tmp_path / "index.faiss")
    assert index.info.kind == "cells"
    assert index.info.recall >= 0.95
    true, _ = ItemIndex(vectors).search(users[200:], 100)
    found, _ = index.search(users[200:], 100)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)])
    assert recall >= 0.95
    assert index.info.params["probes"]["100"] < index.info.params["cells"] // 2


@pytest.mark.parametrize("k", [30, 150])
def test_cells_give_many_points_at_once_what_each_gets_alone(clustered, k):
    vectors, users = clustered
    index = ItemIndex.build(vectors, users, "cells", 0.8)
    rows, squared = index.search(users, k)
    for at, user in enumerate(users):
        alone, alone_squared = index.nearest(user, k)
        assert (alone == rows[at]).all()
        assert (alone_squared == squared[at]).all()


def test_cells_of_earlier_versions_are_still_searched(clustered, tmp_path):
    vectors, users = clustered
    made = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatL2(vectors.shape[1]),
        vectors.shape[1],
        64,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_L2,
    )
    made.train(vectors)
    made.add(vectors)
    faiss.write_index(made, str(tmp_path / "index.faiss"))
    info = IndexInfo(
        kind="cells", params={"cells": 64, "probes": {"100": 20, "300": 40}}, recall=0.99, recall_k=100
    )
    index = ItemIndex.load(vectors, info, tmp_path / "index.faiss")
    true, _ = ItemIndex(vectors).search(users, 50)
    found, _ = index.search(users, 50)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)]) > 0.95


def test_one_far_vector_does_not_spoil_the_cells(clustered):
    vectors, users = clustered
    vectors = np.insert(vectors, 17, 300 * np.abs(vectors).max(), axis=0)
    index = ItemIndex.build(vectors, users[:200], "cells", 0.95)
    assert index.info.kind == "cells"
    true, _ = ItemIndex(vectors).search(users[200:], 100)
    found, _ = index.search(users[200:], 100)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)]) >= 0.93


def test_cells_give_true_distances_in_order(clustered):
    vectors, users = clustered
    rows, squared = ItemIndex.build(vectors, users, "cells", 0.9).search(users[:5], 50)
    for user, got, got_squared in zip(users, rows, squared, strict=False):
        wanted = ((vectors[got] - user) ** 2).sum(axis=1)
        np.testing.assert_allclose(got_squared, wanted, rtol=1e-4, atol=1e-6)
        assert (np.diff(got_squared) >= 0).all()


def test_with_cells_a_longer_list_begins_with_the_shorter_one_and_reaches_every_item(clustered):
    vectors, users = clustered
    index = ItemIndex.build(vectors, users, "cells", 0.5)
    for user in users[:3]:
        whole = index.search(user[None], 5000)[0][0].tolist()
        assert sorted(whole) == list(range(5000))
        for k in (1, 99, 100, 101, 700, 1001, 1500):
            assert index.search(user[None], k)[0][0].tolist() == whole[:k]


def test_cells_that_miss_the_target_give_way_to_exact_search():
    rng = np.random.default_rng(8)
    vectors = rng.normal(size=(2000, 64)).astype(
        np.float32
    )  # nothing is near anything: the worst case for cells
    index = ItemIndex.build(vectors, rng.normal(size=(50, 64)).astype(np.float32), "cells", 0.999)
    assert index.info.kind == "exact"
    assert index.info.recall == 1.0


def test_a_search_among_some_rows_is_exact_with_cells_too(clustered):
    vectors, users = clustered
    index = ItemIndex.build(vectors, users, "cells", 0.5)
    allowed = np.arange(0, 5000, 3)
    for user in users:
        wanted = [row for row, _ in nearest(user.tolist(), vectors.tolist(), 30, allowed.tolist())]
        assert index.nearest_among(user, 30, allowed)[0].tolist() == wanted


def test_small_catalogues_are_searched_exactly_by_default(vectors, queries):
    assert ItemIndex.build(vectors, queries).info.kind == "exact"


def test_codes_and_a_choice_of_all_rows_change_nothing_about_what_is_found():
    vectors = points(9000, 32, np.random.default_rng(11))
    plain, coded = ItemIndex(vectors), ItemIndex(vectors, codes=Codes(vectors))
    for point in points(60, 32, np.random.default_rng(12)):
        for k in (1, 20, 300):
            wanted, wanted_squared = plain.nearest(point, k)
            for got, squared in (coded.nearest(point, k), plain.nearest_among(point, k, np.arange(9000))):
                assert got.tolist() == wanted.tolist()
                assert squared.tolist() == wanted_squared.tolist()


def test_what_codes_say_about_distance_is_never_too_much():
    vectors = points(9000, 32, np.random.default_rng(13))
    codes = Codes(vectors)
    for point in points(20, 32, np.random.default_rng(14)):
        rows, bound = codes.candidates(point, 50)
        squared = ((vectors.astype(np.float64) - point) ** 2).sum(axis=1)
        assert np.delete(squared, rows).min() >= bound - 1e-5
        assert squared[rows[-1]] >= bound - 1e-5
        assert bound > 0.5 * squared[rows[-1]]  # and not much too little: it must rule others out


def test_vectors_that_their_codes_cannot_tell_apart_are_still_ordered_truly():
    rng = np.random.default_rng(15)
    clump = points(1, 32, rng) + rng.normal(scale=1e-4, size=(9000, 32)).astype(np.float32)
    coded = ItemIndex(clump, codes=Codes(clump))
    query = clump[17] + np.float32(1e-5)
    assert coded.nearest(query, 40)[0].tolist() == ItemIndex(clump).nearest(query, 40)[0].tolist()


def test_codes_are_held_only_where_they_help():
    assert Codes.where_they_help(np.zeros((100, 8), dtype=np.float32)) is None
    assert Codes.where_they_help(points(9000, 32, np.random.default_rng(16))) is not None
