"""Lists for sessions: what was liked pulls, what was disliked pushes and never comes back."""

import numpy as np
import pytest

from cml.recommend import Signal, recommend, recommend_session
from tests.cml.small_models import DAY, ids, snapshot


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    return snapshot(tmp_path_factory.mktemp("exact"), n_items=600, pairs_per_user=12)


def test_a_session_gets_items_near_what_it_liked(exact):
    liked = [Signal("film-010"), Signal("film-020"), Signal("unknown")]
    found = recommend_session(exact, liked, [Signal("film-030")], k=590, because=1)
    assert found.strategy == "session"
    assert found.skipped == ("unknown",)
    assert not {"film-010", "film-020", "film-030"} & set(ids(found))
    assert {item.because[0].item_id for item in found.items} == {"film-010", "film-020"}
    distances = [item.distance for item in found.items]
    assert distances == sorted(distances)
    vectors = exact.artifact.item_vectors
    near = np.linalg.norm(vectors[[item.row for item in found.items[:20]]] - vectors[10], axis=1).mean()
    assert near < np.linalg.norm(vectors - vectors[10], axis=1).mean()


def test_a_session_of_a_known_user_adds_to_what_training_knows(exact):
    user = exact.user_row("user/11")
    known = {exact.artifact.items[row] for row in exact.seen_rows(user)}
    before = recommend(exact, "user/11", k=10)
    fresh = before.items[0].item_id
    found = recommend_session(exact, [Signal(fresh)], user_id="user/11", k=10)
    assert found.strategy == "personal"
    assert not (known | {fresh}) & set(ids(found))


def test_disliked_items_never_come_back_and_a_dislike_outweighs_a_like(exact):
    found = recommend_session(
        exact,
        [Signal("film-001"), Signal("film-002")],
        [Signal("film-002")],
        k=600,
        exclude_seen=False,
        because=5,
    )
    assert "film-002" not in ids(found)
    assert "film-001" in ids(found)
    assert all([reason.item_id for reason in item.because] == ["film-001"] for item in found.items)


def test_a_session_without_a_known_like_gets_the_fallback_list(exact):
    found = recommend_session(exact, [Signal("unknown")], [Signal("film-001")], k=600)
    assert found.strategy == "popular"
    assert found.skipped == ("unknown",)
    assert "film-001" not in ids(found)


def test_newer_likes_pull_harder(exact):
    def distance_to(item_id, old, new):
        likes = [Signal(old, time=0.0), Signal(new, time=300 * DAY)]
        found = recommend_session(exact, likes, k=600, exclude_seen=False)
        return next(item.distance for item in found.items if item.item_id == item_id)

    assert distance_to("film-050", "film-060", "film-050") < distance_to("film-050", "film-050", "film-060")
