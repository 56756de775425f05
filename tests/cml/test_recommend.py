import gc
import weakref
from math import dist

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cml import artifact
from cml.errors import QueryError, VocabularyError
from cml.neighbours import similar_users, users_for_item
from cml.recommend import Signal, popular, recommend, recommend_batch, recommend_session, similar_items
from cml.snapshot import Snapshot
from tests.cml.small_models import DAY, GENRES, content, ids
from tests.reference.lists import matches, mmr, nearest


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    return made(tmp_path_factory.mktemp("exact"), "exact")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return made(tmp_path_factory.mktemp("cells"), "cells")


@pytest.fixture(params=["exact", "cells"])
def snapshot(request):
    return request.getfixturevalue(request.param)


def made(directory, kind):
    artifact.write(
        content(n_items=600, pairs_per_user=12), directory / "artifact", index=kind, target_recall=0.6
    )
    loaded = artifact.load(directory / "artifact")
    assert loaded.manifest.index.kind == kind
    return Snapshot(loaded, "000001-aaaaaaaaaaaa")


def brute_force(snapshot, user_id, allowed=None, with_seen=False):
    """All items for a user by distance, as ids."""
    parts = snapshot.artifact
    user = parts.users.row(user_id)
    seen = set() if with_seen else set(snapshot.seen_rows(user).tolist())
    rows = [row for row in range(snapshot.n_items) if row not in seen and (allowed is None or row in allowed)]
    ranked = nearest(parts.user_vectors[user].tolist(), parts.item_vectors.tolist(), len(rows), rows)
    return [parts.items[row] for row, _ in ranked]


def test_a_known_user_gets_the_nearest_unseen_items(exact):
    for user_id in list(exact.artifact.users)[:10]:
        found = recommend(exact, user_id, k=15)
        assert ids(found) == brute_force(exact, user_id)[:15]
        assert (found.strategy, found.version, found.k) == ("personal", "000001-aaaaaaaaaaaa", 15)


def test_distances_are_plain_and_ascending(exact):
    parts = exact.artifact
    user = parts.user_vectors[parts.users.row("user/3")].tolist()
    for options in ({}, {"exclude_seen": False}, {"where": {"genres": "Drama"}}):
        found = recommend(exact, "user/3", k=10, **options).items
        wanted = [dist(user, parts.item_vectors[parts.items.row(item.item_id)].tolist()) for item in found]
        assert [item.distance for item in found] == pytest.approx(wanted, abs=1e-6)
        assert wanted == sorted(wanted)


def test_lists_longer_than_the_stored_one_go_on_where_it_ends(exact):
    assert ids(recommend(exact, "user/1", k=600)) == brute_force(exact, "user/1")


def test_seen_items_come_back_only_when_asked_for(exact):
    seen = {exact.artifact.items[row] for row in exact.seen_rows(exact.user_row("user/2"))}
    assert seen
    assert not seen & set(ids(recommend(exact, "user/2", k=600)))
    everything = recommend(exact, "user/2", k=600, exclude_seen=False)
    assert ids(everything) == brute_force(exact, "user/2", with_seen=True)


def test_pages_of_any_listing_join_to_the_whole_without_repeating(snapshot):
    for options in (
        {},
        {"diversity": 0.5},
        {"where": {"genres": ["Drama", "Horror"]}},
        {"exclude_seen": False},
    ):
        whole = ids(recommend(snapshot, "user/4", k=260, **options))
        pages = [
            ids(recommend(snapshot, "user/4", k=13, offset=offset, **options)) for offset in range(0, 260, 13)
        ]
        assert [item for page in pages for item in page] == whole
        assert len(set(whole)) == len(whole) > 150


def test_excluded_items_are_out_and_unknown_ids_are_reported(exact):
    first = ids(recommend(exact, "user/5", k=5))
    found = recommend(exact, "user/5", k=5, exclude=[first[0], "nobody-knows", first[2], "nobody-knows"])
    assert (
        ids(found) == [item for item in brute_force(exact, "user/5") if item not in (first[0], first[2])][:5]
    )
    assert found.skipped == ("nobody-knows",)


def test_only_allowed_items_appear(exact):
    allow = ["film-007", "film-100", "what?", "film-003"]
    found = recommend(exact, "user/6", k=5, allow=allow, exclude_seen=False)
    assert sorted(ids(found)) == ["film-003", "film-007", "film-100"]
    assert found.skipped == ("what?",)
    assert ids(recommend(exact, "user/6", allow=[])) == []


def test_an_unknown_user_gets_the_popular_items_and_the_strategy_says_so(exact):
    found = recommend(exact, "nobody", k=3)
    likes = exact.artifact.popularity
    assert found.strategy == "popular"
    assert [item.score for item in found.items] == sorted(likes, reverse=True)[:3]
    assert all(item.distance is None for item in found.items)
    assert recommend(exact, "nobody", k=3, fallback="trending").strategy == "trending"


def test_trending_and_recent_lists_are_ordered_by_their_scores(exact):
    for by, scores in (("trending", exact.artifact.trending), ("recent", exact.artifact.first_seen)):
        found = popular(exact, by=by, k=600)
        assert found.strategy == by
        wanted = sorted((score for score in scores if score > 0), reverse=True)
        assert [item.score for item in found.items] == pytest.approx(wanted)
        assert [scores[item.row] for item in found.items] == pytest.approx(wanted)


def test_lists_by_time_fall_back_to_popular_without_times(exact):
    parts = exact.artifact
    timeless = Snapshot(artifact.Artifact(**{**vars(parts), "trending": None, "first_seen": None}), "v")
    assert popular(timeless, by="recent").strategy == "popular"
    with pytest.raises(QueryError, match="best"):
        popular(timeless, by="best")


@pytest.mark.parametrize("user_id", ["user/0", "nobody"])
def test_filters_hold_in_every_kind_of_list(exact, user_id):
    where = {"genres": {"any": ["Horror"]}, "year": {"min": 1960, "max": 2000}}
    found = recommend(exact, user_id, k=50, where=where)
    assert found.items
    assert all(matches(item.record, where) for item in found.items)


@given(
    where=st.fixed_dictionaries(
        {},
        optional={
            "genres": st.dictionaries(
                st.sampled_from(["any", "all", "none"]),
                st.lists(st.sampled_from(GENRES), max_size=3),
                min_size=1,
            ),
            "year": st.dictionaries(st.sampled_from(["min", "max"]), st.integers(1940, 2030), min_size=1),
        },
    ),
    allowed=st.none() | st.sets(st.integers(0, 599), max_size=40),
    excluded=st.sets(st.integers(0, 599), max_size=10),
    k=st.integers(1, 120),
    offset=st.integers(0, 60),
    user=st.integers(0, 39),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_filtered_list_is_the_filtered_ranking(snapshot, where, allowed, excluded, k, offset, user):
    """Never an item that the filters forbid, never fewer than min(k, allowed), in the order of distance."""
    items = snapshot.artifact.items
    user_id = snapshot.artifact.users[user]
    kept = {row for row in range(600) if matches(snapshot.card(row).record, where) and row not in excluded}
    kept &= kept if allowed is None else allowed
    found = recommend(
        snapshot,
        user_id,
        k=k,
        offset=offset,
        where=where or None,
        allow=None if allowed is None else [items[row] for row in allowed],
        exclude=[items[row] for row in excluded],
    )
    wanted = brute_force(snapshot, user_id, kept)
    if snapshot.artifact.manifest.index.kind == "exact" or where or allowed is not None:
        assert ids(found) == wanted[offset : offset + k]
    else:
        assert len(set(ids(found))) == min(k, max(len(wanted) - offset, 0))
        assert set(ids(found)) <= set(wanted)


def test_only_available_items_appear_at_a_moment(exact):
    now = 100 * DAY
    found = recommend(exact, "user/7", k=600, available_at=now)
    for item in found.items:
        opens, closes = item.row * DAY, item.row * 2 * DAY
        assert item.row % 3 or opens <= now
        assert item.row % 4 or closes > now
    unavailable = {
        row for row in range(600) if (row % 3 == 0 and row > 100) or (row % 4 == 0 and row * 2 <= 100)
    }
    assert len(found.items) == 600 - len(
        unavailable | set(exact.seen_rows(exact.user_row("user/7")).tolist())
    )


def test_nothing_farther_than_the_cut_off_appears(exact):
    distances = [item.distance for item in recommend(exact, "user/8", k=30).items]
    cut = distances[9]
    for options in ({}, {"where": {"year": {"min": 0}}}, {"diversity": 0.7}):
        found = recommend(exact, "user/8", k=30, max_distance=cut, **options)
        assert found.items
        assert all(item.distance <= cut for item in found.items)
    assert len(recommend(exact, "user/8", k=30, max_distance=cut).items) == 10


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
def test_diversity_chooses_like_the_slow_version(exact, strength):
    parts = exact.artifact
    candidates = recommend(exact, "user/9", k=100).items
    vectors = [parts.item_vectors[item.row].tolist() for item in candidates]
    order = mmr([item.distance for item in candidates], vectors, strength, 20)
    assert order != list(range(20))
    found = recommend(exact, "user/9", k=20, diversity=strength)
    assert ids(found) == [candidates[at].item_id for at in order]


def test_more_diversity_means_items_farther_apart(exact):
    def spread(strength):
        rows = [item.row for item in recommend(exact, "user/9", k=10, diversity=strength).items]
        vectors = exact.artifact.item_vectors[rows]
        return np.mean([np.linalg.norm(vectors - vector, axis=1).sum() for vector in vectors])

    assert spread(0.0) < spread(0.5) <= spread(0.95)


def test_reasons_are_the_users_own_liked_items_nearest_to_each(exact):
    parts = exact.artifact
    liked = exact.liked_rows(exact.user_row("user/10")).tolist()
    for item in recommend(exact, "user/10", k=5, because=2).items:
        point = parts.item_vectors[item.row].tolist()
        wanted = nearest(point, parts.item_vectors.tolist(), 2, liked)
        assert [reason.item_id for reason in item.because] == [parts.items[row] for row, _ in wanted]
        assert [reason.distance for reason in item.because] == pytest.approx([d for _, d in wanted], abs=1e-6)
        assert item.because[0].record["title"]


def test_similar_items_are_the_nearest_without_the_item_itself(exact):
    parts = exact.artifact
    found = similar_items(exact, "film-042", k=7)
    wanted = nearest(parts.item_vectors[42].tolist(), parts.item_vectors.tolist(), 8)[1:]
    assert ids(found) == [parts.items[row] for row, _ in wanted]
    assert found.strategy == "similar"
    assert "film-042" not in ids(similar_items(exact, "film-042", k=600, exclude_seen=False))
    with pytest.raises(VocabularyError, match="film-999"):
        similar_items(exact, "film-999")


def test_a_batch_is_one_list_after_the_other(exact):
    users = ["user/0", "nobody", "user/3"]
    found = list(recommend_batch(exact, users, k=4))
    assert [one.items for one in found] == [recommend(exact, user, k=4).items for user in users]
    assert [one.strategy for one in found] == ["personal", "popular", "personal"]
    with pytest.raises(QueryError):
        recommend_batch(exact, users, where={"nothing": 1})


def test_similar_users_are_the_nearest_without_the_user(exact):
    parts = exact.artifact
    wanted = nearest(parts.user_vectors[3].tolist(), parts.user_vectors.tolist(), 6)[1:]
    found = similar_users(exact, "user/3", k=5)
    assert [user.user_id for user in found] == [parts.users[row] for row, _ in wanted]
    assert [user.distance for user in found] == pytest.approx([d for _, d in wanted], abs=1e-6)
    assert similar_users(exact, "user/3", k=3, offset=2) == found[2:5]
    with pytest.raises(VocabularyError, match="nobody"):
        similar_users(exact, "nobody")


def test_users_for_an_item_have_not_seen_it_unless_asked_for(exact):
    parts = exact.artifact
    row = int(np.argmax(parts.popularity))
    seen_by = {user for user in range(40) if row in exact.seen_rows(user)}
    assert seen_by
    ranked = [user for user, _ in nearest(parts.item_vectors[row].tolist(), parts.user_vectors.tolist(), 40)]
    found = users_for_item(exact, parts.items[row], k=40)
    assert [user.row for user in found] == [user for user in ranked if user not in seen_by]
    assert [user.row for user in users_for_item(exact, parts.items[row], k=40, exclude_seen=False)] == ranked


def test_a_snapshot_is_gone_when_the_last_request_lets_go_of_it(exact):
    swapped = exact.masked(erased=[], hidden=[])
    recommend(swapped, "user/1", where={"genres": "Drama"}, because=1).items  # noqa: B018
    watch = weakref.ref(swapped)
    gc.disable()
    try:
        del swapped
        assert watch() is None
    finally:
        gc.enable()


def test_hidden_items_and_erased_users_are_in_no_answer(exact):
    hidden = ids(recommend(exact, "user/12", k=3))
    masked = exact.masked(erased=["user/13", "nobody"], hidden=[*hidden, "unknown"])
    assert ids(recommend(masked, "user/12", k=600)) == [
        item for item in brute_force(exact, "user/12") if item not in hidden
    ]
    assert not set(hidden) & set(ids(popular(masked, k=600)) + ids(similar_items(masked, "film-001", k=600)))
    assert recommend(masked, "user/13").strategy == "popular"
    assert "user/13" not in [user.user_id for user in similar_users(masked, "user/12", k=40)]
    assert "user/13" not in [
        user.user_id for user in users_for_item(masked, "film-001", k=40, exclude_seen=False)
    ]
    with pytest.raises(VocabularyError):
        similar_users(masked, "user/13")


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"offset": -1},
        {"because": -1},
        {"diversity": 1.0},
        {"diversity": -0.1},
        {"max_distance": -1.0},
        {"max_distance": float("nan")},
        {"where": {"year": object()}},
        {"available_at": "someday"},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(exact, options):
    with pytest.raises(QueryError, match=next(iter(options)) if "where" not in options else "filter"):
        recommend(exact, "user/1", **options)


@pytest.mark.parametrize("n_hidden", [300, 560])
def test_many_hidden_items_change_nothing_about_the_order_of_the_others(snapshot, n_hidden):
    whole = ids(recommend_session(snapshot, [Signal("film-005")], k=600))
    order = (
        list(np.random.default_rng(4).permutation(whole)) if n_hidden < 500 else whole
    )  # or all the nearest ones
    hidden = {str(item_id) for item_id in order[:n_hidden]}
    masked = snapshot.masked(erased=(), hidden=hidden)
    for k in (10, 100, 600):
        found = ids(recommend_session(masked, [Signal("film-005")], k=k))
        assert found == [item_id for item_id in whole if item_id not in hidden][:k]
