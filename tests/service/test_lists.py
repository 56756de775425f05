"""Lists: for users, for items, for everybody; options, paging and what a list says of itself."""

from __future__ import annotations

import json
from functools import partial
from itertools import count
from urllib.parse import quote

import pytest

from service import answers
from service.pages import Pages
from service.schemas import ItemList, UserList
from tests.service.conftest import ids, refused
from tests.service.worlds import ITEMS, USERS, content, publish


def recommended(client, user_id, **parameters):
    return client.get(f"/v1/users/{quote(user_id, safe='')}/recommendations", params=parameters)


def test_a_users_list_is_nearest_first_without_what_they_have_seen(client):
    answer = recommended(client, "ann", k=3)
    assert ids(answer) == ["i1", "a/b", "i4"]  # i0 and 日本 are seen
    assert [item["distance"] for item in answer.json()["items"]] == pytest.approx([0.2, 0.3, 0.5])


def test_a_list_says_what_made_it(client, models):
    answer = recommended(client, "ann", k=2).json()
    ItemList.model_validate(answer)
    assert answer["user_id"] == "ann"
    assert answer["strategy"] == "personal"
    assert answer["k"] == 2
    assert answer["variant"] is None
    assert answer["model_version"] == (models / "CURRENT").read_text().strip()
    assert answer["recommendation_id"].startswith(answer["model_version"])


def test_every_list_has_its_own_recommendation_id(client):
    given = {recommended(client, "ann").json()["recommendation_id"] for _ in range(5)}
    assert len(given) == 5


def test_the_shortcut_and_the_route_give_the_same_list(client):
    quick = recommended(client, "ann", k=4).json()
    routed = recommended(client, "ann", k=4, exclude_seen=True).json()
    for one in (quick, routed):
        del one["recommendation_id"]
    assert quick == routed


@pytest.mark.parametrize("user_id", USERS)
def test_ids_with_slashes_spaces_and_unicode_work_in_paths(client, user_id):
    assert recommended(client, user_id).json()["user_id"] == user_id


def test_an_item_id_with_a_slash_works_encoded_and_plain(client):
    assert client.get("/v1/items/a%2Fb").json()["item_id"] == "a/b"
    assert client.get("/v1/items/a/b").json()["item_id"] == "a/b"
    assert ids(client.get("/v1/items/a%2Fb/similar", params={"k": 1})) == ["日本"]


def test_an_encoded_slash_never_turns_an_id_into_a_route(client):
    detail = refused(client.get("/v1/items/i0%2Fsimilar"), 404, "unknown-item")
    assert "'i0/similar'" in detail


def test_an_unknown_user_gets_popular_items_and_is_told_so(client):
    answer = recommended(client, "nobody", k=2)
    assert answer.json()["strategy"] == "popular"
    assert ids(answer) == ["i0", "i4"]
    assert [item["score"] for item in answer.json()["items"]] == [2, 2]
    assert all(item["distance"] is None for item in answer.json()["items"])


def test_an_unknown_item_is_a_404(client):
    for path in ("/v1/items/nope", "/v1/items/nope/similar", "/v1/items/nope/users"):
        refused(client.get(path), 404, "unknown-item")


def test_similar_items_are_nearest_first_without_the_item(client):
    assert ids(client.get("/v1/items/i7/similar", params={"k": 3})) == ["i6", "i5", "i4"]


def test_similar_users_and_users_for_an_item(client):
    similar = UserList.model_validate(client.get("/v1/users/ann/similar").json())
    assert [user.user_id for user in similar.users] == ["bob", "Zoë/ü 1"]
    assert [user.distance for user in similar.users] == pytest.approx([0.45, 0.9])
    fans = UserList.model_validate(client.get("/v1/items/i4/users").json())
    assert [user.user_id for user in fans.users] == ["ann"]  # the others have seen it
    refused(client.get("/v1/users/nobody/similar"), 404, "unknown-user")
    assert similar.recommendation_id.startswith(f"{similar.model_version}.")
    assert similar.recommendation_id != fans.recommendation_id
    assert "cursor" not in refused(client.get("/v1/items/i4/users?k=501"), 422, "invalid-request")


def test_seen_items_come_back_only_when_asked_for(client):
    assert ids(recommended(client, "ann", k=2, exclude_seen=False)) == ["i0", "i1"]


def test_excluded_and_allowed_ids_are_honoured_and_unknown_ones_are_reported(client):
    answer = recommended(client, "ann", k=2, exclude=["i1", "nope"])
    assert ids(answer) == ["a/b", "i4"]
    assert answer.json()["skipped"] == ["nope"]
    assert ids(recommended(client, "ann", allow=["i7", "i5", "i0"])) == ["i5", "i7"]


def test_filters_are_exact(client):
    assert ids(recommended(client, "ann", where='{"genres": {"any": ["Comedy"]}}')) == ["a/b", "i4", "i7"]
    asked = '{"genres": {"any": ["Comedy"], "none": ["SciFi"]}, "year": {"min": 2005}}'
    assert ids(recommended(client, "ann", where=asked)) == ["i7"]


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("nonsense", "not JSON"),
        ("[]", "object"),
        ('{"colour": "red"}', "no such column"),
        ('{"title": "x"}', "text"),
        ('{"genres": [{"any": "Comedy"}]}', "not a tag"),
        ('{"genres": {"none": [null]}}', "not a tag"),
        ('{"genres": ' + "[" * 300 + "]" * 300 + "}", "recursion limit"),
        ('{"year": NaN}', "not JSON"),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_422(client, where, complaint):
    assert complaint in refused(recommended(client, "ann", where=where), 422, "invalid-request")


def test_a_distance_cut_off_and_reasons(client):
    answer = recommended(client, "ann", max_distance=0.35, explain=1).json()["items"]
    assert [item["item_id"] for item in answer] == ["i1", "a/b"]
    assert [item["because"][0]["item_id"] for item in answer] == ["i0", "日本"]
    assert answer[0]["because"][0] == {"item_id": "i0", "title": "Alien", "distance": 0.1}


def test_diversity_changes_the_order_but_not_the_first_item(client):
    plain, varied = ids(recommended(client, "ann", k=4)), ids(recommended(client, "ann", k=4, diversity=0.8))
    assert varied[0] == plain[0]
    assert varied != plain


@pytest.mark.parametrize("options", [{}, {"diversity": 0.5}, {"where": '{"genres": {"none": ["Crime"]}}'}])
@pytest.mark.parametrize(
    "start", ["/v1/users/ann/recommendations", "/v1/lists/popular", "/v1/items/i4/similar"]
)
def test_pages_join_to_the_whole_list_and_never_repeat(client, options, start):
    whole = ids(client.get(start, params={"k": 8, **options}))
    assert len(whole) > 2
    pages, cursor = [], None
    while cursor is not None or not pages:
        page = client.get(start, params={"k": 2, **options, **({"cursor": cursor} if cursor else {})})
        pages += ids(page)
        cursor = page.json()["next"]
    assert pages == whole


def test_a_listing_goes_on_where_it_was_although_the_model_and_the_events_changed(serve, models):
    client = serve()
    first = recommended(client, "ann", k=2)
    whole = ids(recommended(client, "ann", k=8))
    publish(models, content(flip=True))
    client.post("/v1/admin/reload")
    client.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "i7", "type": "like"}]})
    assert ids(recommended(client, "ann", k=8)) != whole
    second = recommended(client, "ann", k=8, cursor=first.json()["next"])
    assert ids(first) + ids(second) == whole


def test_a_listing_ends_at_the_greatest_depth_without_an_error(serve):
    client = serve(max_depth=7)
    listed, cursor = [], None
    while len(listed) < 20:
        page = client.get("/v1/lists/popular", params={"k": 3} | ({"cursor": cursor} if cursor else {}))
        listed.append(ids(page))
        cursor = page.json()["next"]
        if cursor is None:
            break
    assert list(map(len, listed)) == [3, 3, 1]
    assert page.json()["k"] == 1
    beyond = "v.7.0.0.0.plain"
    assert "item 7" in refused(
        client.get("/v1/lists/popular", params={"cursor": beyond}), 422, "invalid-request"
    )


def test_an_item_that_becomes_available_does_not_push_another_onto_the_next_page(serve, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("service.app.Pages", partial(Pages, clock=lambda: now))
    client = serve()
    client.put("/v1/items/i1", json={"metadata": {"available_from": 2000}})
    client.post("/v1/admin/reload")
    first = recommended(client, "ann", k=2)
    assert ids(first) == ["a/b", "i4"]
    now = 3000.0
    assert ids(recommended(client, "ann", k=2)) == ["i1", "a/b"]
    assert ids(recommended(client, "ann", k=2, cursor=first.json()["next"])) == ["i5", "i6"]


def test_a_listing_whose_version_is_gone_has_expired(serve, models):
    client = serve()
    cursor = recommended(client, "ann", k=2).json()["next"]
    for shift in (0.01, 0.02):
        publish(models, content(shift=shift))
        client.post("/v1/admin/reload")
    refused(recommended(client, "ann", k=2, cursor=cursor), 410, "listing-expired")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "a.b.c.d.e.f",
        "v.1.1",
        "v.1.0.0.plain",
        "v.-1.0.0.0.plain",
        "v.1.0.0.0.plain.x",
        "v.1.0.0.0.plain",
    ],
)
def test_cursors_that_we_did_not_give_are_refused(client, cursor):
    assert recommended(client, "ann", cursor=cursor).status_code in (410, 422)


def test_a_cursor_holds_for_its_own_options_only(client):
    cursor = recommended(client, "ann", k=2).json()["next"]
    refused(recommended(client, "ann", k=2, diversity=0.5, cursor=cursor), 422, "invalid-request")


@pytest.mark.parametrize(
    "parameters",
    [
        {"k": 0},
        {"k": 501},
        {"k": "x"},
        {"explain": 11},
        {"diversity": 1},
        {"max_distance": -1},
        {"max_distance": "nan"},
        *(
            {"available_at": moment}
            for moment in ("tomorrow", "", "nan", "1e400", "2026-07-01T00:00:00+25:00")
        ),
    ],
)
def test_impossible_options_are_refused(client, parameters):
    refused(recommended(client, "ann", **parameters), 422, "invalid-request")


def test_a_list_without_a_length_is_no_longer_than_the_longest(serve):
    client = serve(default_k=6, max_k=4)
    assert len(ids(client.get("/v1/lists/popular"))) == 4
    assert client.get("/v1/lists/popular").json()["k"] == 4


def test_id_lists_have_a_limit(serve):
    client = serve(max_list=3)
    assert recommended(client, "ann", exclude=["a"] * 3).status_code == 200
    refused(recommended(client, "ann", exclude=["a"] * 4), 422, "invalid-request")
    refused(
        client.post("/v1/recommendations", json={"liked": [{"item_id": "a"}] * 4}), 422, "invalid-request"
    )


def test_values_of_a_condition_have_the_same_limit(serve):
    client = serve(max_list=3)
    for names in (["a"] * 4, {"any": ["Comedy"], "none": ["a"] * 4}):
        asked = {"where": {"year": {"min": 1900}, "genres": names}}
        detail = refused(client.post("/v1/recommendations", json=asked), 422, "invalid-request")
        assert detail == "where.genres: 4 values, at most 3"
        refused(recommended(client, "ann", where=json.dumps(asked["where"])), 422, "invalid-request")
    allowed = {"where": {"genres": {"any": ["Comedy", "a", "b"]}}, "k": 8}
    assert ids(client.post("/v1/recommendations", json=allowed)) == ["i4", "i7", "a/b"]


def test_popular_trending_and_recent(client):
    assert ids(client.get("/v1/lists/popular", params={"k": 2})) == ["i0", "i4"]
    assert ids(client.get("/v1/lists/trending", params={"k": 2})) == ["i4", "i0"]
    assert client.get("/v1/lists/recent").json()["strategy"] == "recent"
    assert client.get("/v1/lists/nonsense").status_code == 422


def test_titles_are_searched(client):
    found = client.get("/v1/items", params={"title": "alien"}).json()["items"]
    assert [item["item_id"] for item in found] == ["i0", "i1"]
    assert found[0] == {
        "item_id": "i0",
        "title": "Alien",
        "metadata": {"genres": ["Horror", "SciFi"], "year": 1979},
        "hidden": False,
        "in_model": True,
        "placed": True,
        "placed_by": [],
        "reason": None,
        "liked_by": 2,
    }


def test_a_session_is_answered_from_its_likes_and_dislikes(client):
    answer = client.post(
        "/v1/recommendations", json={"liked": [{"item_id": "i7"}, {"item_id": "nope"}], "k": 2}
    )
    assert answer.json()["strategy"] == "session"
    assert ids(answer) == ["i5", "i6"]
    assert answer.json()["skipped"] == ["nope"]
    disliking = {"liked": [{"item_id": "i7"}], "disliked": [{"item_id": "i6", "weight": 2}], "k": 2}
    assert "i6" not in ids(client.post("/v1/recommendations", json=disliking))


@pytest.mark.parametrize("weight", [1e-300, 1000])
@pytest.mark.parametrize("times", [(0, 1e11), (-1.7e308, 1.7e308), (1e11, 0)])
def test_a_session_may_reach_over_any_time_and_any_weights(client, times, weight):
    for liked in ("i0", "unknown"):  # an unknown item makes all others old, too
        signals = [
            {"item_id": item_id, "time": time, "weight": weight}
            for item_id, time in zip((liked, "i7"), times, strict=True)
        ]
        likes = client.post("/v1/recommendations", json={"liked": signals})
        assert likes.json()["strategy"] == "session"
        assert len(ids(likes)) == 6 if liked == "i0" else 7
        dislikes = client.post(
            "/v1/recommendations", json={"liked": [{"item_id": "i4", "weight": 1e-300}], "disliked": signals}
        )
        assert set(ids(dislikes)).isdisjoint({"i4", "i7", liked})


def test_a_session_of_a_known_user_adds_to_their_history(client):
    alone = client.post("/v1/recommendations", json={"user_id": "ann", "k": 8})
    assert ids(alone) == ids(recommended(client, "ann", k=8))
    answer = client.post("/v1/recommendations", json={"user_id": "ann", "liked": [{"item_id": "i7"}], "k": 8})
    assert answer.json()["strategy"] == "personal"
    assert not {"i0", "日本", "i7"} & set(ids(answer))


def test_a_session_without_anything_known_is_popular(client):
    for body in ({}, {"liked": [{"item_id": "nope"}]}, {"user_id": "nobody"}):
        assert client.post("/v1/recommendations", json=body).json()["strategy"] == "popular"


def test_a_batch_is_one_line_for_each_user_in_order(client):
    answer = client.post("/v1/recommendations/batch", json={"user_ids": ["bob", "nobody", "ann"], "k": 2})
    assert answer.headers["content-type"] == "application/jsonl"
    lines = [ItemList.model_validate_json(line) for line in answer.text.splitlines()]
    assert [line.user_id for line in lines] == ["bob", "nobody", "ann"]
    assert [item.item_id for item in lines[2].items] == ids(recommended(client, "ann", k=2))


@pytest.mark.parametrize(("seconds", "turns"), [(0.0004, 1), (0.02, 16)])
def test_a_batch_lets_other_requests_in_by_the_time_that_it_takes(serve, monkeypatch, seconds, turns):
    client, clock, given = serve(), count(), []

    async def let_others() -> None:
        given.append(1)

    monkeypatch.setattr(answers, "perf_counter", lambda: next(clock) * seconds)
    monkeypatch.setattr(answers, "_let_others", let_others)
    client.post("/v1/recommendations/batch", json={"user_ids": ["ann"] * 16, "k": 1})
    assert len(given) == turns


def test_a_batch_that_makes_no_sense_is_refused_before_its_first_line(serve):
    client = serve(max_batch=2)
    for body in (
        {"user_ids": []},
        {"user_ids": ["a"] * 3},
        {"user_ids": ["a"], "where": {"x": 1}},
        {"user_ids": ["a"], "cursor": "x"},
    ):
        refused(client.post("/v1/recommendations/batch", json=body), 422, "invalid-request")


def test_every_item_is_listed_to_somebody(client):
    assert set(ids(client.get("/v1/lists/popular", params={"k": 100}))) == set(ITEMS)
