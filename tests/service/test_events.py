"""Events over HTTP: durable, idempotent, counted at once by every worker; users who can be forgotten."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from sqlalchemy import text

from cml.events.store import EventStore
from cml.recommend import recommend_session
from service import answers
from tests.service.conftest import ids, refused
from tests.service.worlds import content, publish


@pytest.fixture
def events_url(any_events_url: str) -> str:
    """Every test of this file runs with SQLite and with PostgreSQL."""
    return any_events_url


def like(user_id: str, item_id: str, **values):
    return {"user_id": user_id, "item_id": item_id, "type": "like"} | values


def send(client, *events):
    return client.post("/v1/events", json={"events": list(events)})


def recommended(client, user_id, **parameters):
    return client.get(f"/v1/users/{user_id}/recommendations", params=parameters)


def test_a_new_user_becomes_known_with_the_first_event(client):
    assert recommended(client, "new").json()["strategy"] == "popular"
    assert send(client, like("new", "i7")).json() == {"accepted": 1, "duplicates": 0, "unknown_items": []}
    answer = recommended(client, "new", k=2)
    assert answer.json()["strategy"] == "session"
    assert ids(answer) == ["i5", "i6"]


def test_an_event_moves_a_known_user_and_its_item_leaves_the_list(client):
    before = recommended(client, "ann", k=8)
    send(client, like("ann", "i7"))
    after = recommended(client, "ann", k=8)
    assert after.json()["strategy"] == "personal"
    assert "i7" in ids(before)
    assert "i7" not in ids(after)
    assert [item["distance"] for item in after.json()["items"]] != [
        item["distance"] for item in before.json()["items"]
    ]


def test_the_next_answer_of_another_worker_counts_the_event_too(serve):
    one, other = serve(), serve()
    assert recommended(other, "new").json()["strategy"] == "popular"
    send(one, like("new", "i7"))
    assert ids(recommended(other, "new", k=2)) == ["i5", "i6"]
    send(other, like("new", "i6"))
    assert ids(recommended(one, "new", k=1)) == ["i5"]


def test_a_live_list_is_made_once_until_the_users_next_event(client, monkeypatch):
    made = []

    def counted(*arguments, **options):
        made.append(options["user_id"])
        return recommend_session(*arguments, **options)

    monkeypatch.setattr(answers, "recommend_session", counted)
    send(client, like("new", "i7"))
    first = recommended(client, "new", k=2)
    assert ids(first) == ids(recommended(client, "new", k=2)) == ["i5", "i6"]
    send(client, like("other", "i0"))
    assert ids(recommended(client, "new", k=2)) == ["i5", "i6"]
    assert made == ["new"]
    assert first.json()["recommendation_id"] != recommended(client, "new", k=2).json()["recommendation_id"]
    send(client, like("new", "i6"))
    assert ids(recommended(client, "new", k=1)) == ["i5"]
    client.put("/v1/items/i5", json={"hidden": True})
    assert ids(recommended(client, "new", k=1)) != ["i5"]
    assert made == ["new"] * 3


def test_a_disliked_item_leaves_and_a_later_like_brings_the_user_back_to_it(client):
    send(client, like("new", "i7"), like("new", "i5", type="dislike"))
    assert "i5" not in ids(recommended(client, "new", k=8))
    assert "i5" not in ids(recommended(client, "new", k=8, exclude_seen=False))
    send(client, like("new", "i5"))
    assert "i5" in ids(recommended(client, "new", k=8, exclude_seen=False))


def test_only_dislikes_leave_a_user_with_the_popular_items_but_those(client):
    send(client, like("new", "i0", type="dislike"))
    answer = recommended(client, "new", k=8)
    assert answer.json()["strategy"] == "popular"
    assert "i0" not in ids(answer)


def test_an_event_id_counts_once(client):
    assert send(client, like("new", "i7", event_id="x")).json()["accepted"] == 1
    again = send(client, like("new", "i6", event_id="x"), like("new", "i5", event_id="y"))
    assert again.json() == {"accepted": 1, "duplicates": 1, "unknown_items": []}
    stored = client.get("/v1/users/new").json()["events"]
    assert [(event["event_id"], event["item_id"]) for event in stored] == [("x", "i7"), ("y", "i5")]


def test_events_without_an_id_all_count(client):
    assert send(client, like("new", "i7"), like("new", "i7")).json()["accepted"] == 2


def test_events_about_unknown_items_are_kept_and_named(client):
    assert send(client, like("new", "later"), like("new", "i7")).json()["unknown_items"] == ["later"]
    answer = recommended(client, "new", k=1)
    assert ids(answer) == ["i5"]
    assert answer.json()["skipped"] == []


def test_weights_come_from_the_event_or_from_the_type(serve):
    client = serve(event_weights={"like": 2.0, "view": 0.5, "purchase": 3.0, "dislike": 1.0})
    send(
        client,
        like("new", "i1", type="view"),
        like("new", "i7", weight=0.7, time=12.5, recommendation_id="r"),
    )
    first, second = client.get("/v1/users/new").json()["events"]
    assert (first["weight"], second["weight"]) == (0.5, 0.7)
    assert (second["time"], second["recommendation_id"]) == (12.5, "r")


def test_types_whose_weight_is_not_set_keep_their_default(serve):
    client = serve(event_weights={"like": 2.0})
    send(client, *(like("u", "i7", type=name) for name in ("like", "view", "purchase", "dislike")))
    stored = client.get("/v1/users/u").json()["events"]
    assert [event["weight"] for event in stored] == [2.0, 0.3, 1.0, 1.0]


@pytest.mark.parametrize("weight", [1.0, 1e-300])
def test_events_half_a_century_apart_are_answered_by_the_newer_one(client, weight):
    send(client, like("new", "i0", time=0, weight=weight), like("new", "i7", time=1.7e9))
    answer = recommended(client, "new", k=8)
    assert ids(answer)[:2] == ["i5", "i6"]
    assert "i0" not in ids(answer)


def test_events_that_the_version_was_trained_on_do_not_count_twice(serve, models):
    client = serve()
    send(client, like("ann", "i7"))
    folded = ids(recommended(client, "ann", k=8))
    publish(models, content(data={"events_through": 1}))
    client.post("/v1/admin/reload")
    assert ids(recommended(client, "ann", k=8)) != folded
    send(client, like("ann", "i6"))
    assert "i6" not in ids(recommended(client, "ann", k=8))


def test_malformed_events_are_refused_whole(client):
    for events in (
        [],
        [{}],
        [like("", "i7")],
        [like("u", "i7", type="kiss")],
        [like("u", "i7", weight=0)],
        [like("u", "i7", extra=1)],
        [like("u", "i7"), like("u\0", "i7")],
    ):
        refused(client.post("/v1/events", json={"events": events}), 422, "invalid-request")
    refused(client.get("/v1/users/u"), 404, "unknown-user")


def test_an_event_that_no_database_can_hold_is_refused_and_delays_nobody(client):
    for bad in ("a\0b", "\0"):
        answer = send(client, like("ann", "i7"), like("ann", "i6", recommendation_id=bad))
        assert "recommendation_id" in refused(answer, 422, "invalid-request")
    assert client.get("/v1/users/ann").json()["events"] == []
    assert send(client, like("ann", "i7", recommendation_id="日本")).json()["accepted"] == 1


def test_an_event_of_the_future_happened_now(client):
    send(client, like("new", "i0", time=1e11), like("new", "i7"))
    first, second = (event["time"] for event in client.get("/v1/users/new").json()["events"])
    assert first == pytest.approx(second, abs=60)
    assert ids(recommended(client, "new", k=8))[0] not in ("i1", "i6")  # both likes count


@pytest.mark.parametrize("body", ["", "{", "[]", '"text"', "null"])
def test_a_body_that_is_no_object_is_named_as_the_place(client, body):
    assert refused(client.post("/v1/events", content=body), 422, "invalid-request").startswith("body: ")


def test_too_many_events_at_once_are_refused(serve):
    client = serve(max_events=2)
    refused(send(client, *[like("u", "i7")] * 3), 422, "invalid-request")


def test_what_is_stored_about_a_user_is_shown(client):
    send(client, like("ann", "i7", event_id="x", time=5.0))
    user = client.get("/v1/users/ann").json()
    assert user["in_model"] is True
    assert user["trained_on"] == ["i0", "日本"]
    assert user["events"] == [
        {
            "event_id": "x",
            "item_id": "i7",
            "type": "like",
            "weight": 1.0,
            "time": 5.0,
            "recommendation_id": None,
        }
    ]
    refused(client.get("/v1/users/nobody"), 404, "unknown-user")


def test_an_erased_user_is_unknown_everywhere_at_once(serve):
    one, other = serve(), serve()
    send(one, like("ann", "i7"))
    assert other.get("/v1/users/ann").status_code == 200
    assert one.delete("/v1/users/ann").json() == {"user_id": "ann", "events": 1}
    for client in (one, other):
        refused(client.get("/v1/users/ann"), 404, "unknown-user")
        assert recommended(client, "ann").json()["strategy"] == "popular"
        assert "ann" not in client.get("/v1/users/bob/similar").text
        assert "ann" not in client.get("/v1/items/i4/users").text
    assert one.delete("/v1/users/ann").json()["events"] == 0


@pytest.mark.parametrize("user_id", ["two\nlines", "\n", "ends\n", "a/b\n/c", "%2F"])
def test_whoever_an_event_can_name_can_be_shown_and_erased(client, user_id):
    send(client, like(user_id, "i7"))
    path = f"/v1/users/{quote(user_id, safe='')}"
    assert client.get(path).json()["user_id"] == user_id
    assert client.delete(path).json() == {"user_id": user_id, "events": 1}
    refused(client.get(path), 404, "unknown-user")


def test_an_erasure_holds_after_a_restart_and_until_a_version_was_trained_without_the_user(serve, models):
    serve().delete("/v1/users/ann")
    later = serve()
    assert recommended(later, "ann").json()["strategy"] == "popular"
    publish(models, content(data={"erasures_through": 1}))
    later.post("/v1/admin/reload")
    assert recommended(later, "ann").json()["strategy"] == "personal"


def test_an_erased_user_may_come_back_as_somebody_new(client):
    client.delete("/v1/users/ann")
    send(client, like("ann", "i7"))
    assert recommended(client, "ann", k=1).json()["strategy"] == "session"
    assert client.get("/v1/users/ann").json()["trained_on"] == []


def test_without_an_event_store_lists_are_answered_and_events_refused(serve):
    client = serve(events="off")
    assert recommended(client, "ann").json()["strategy"] == "personal"
    refused(send(client, like("u", "i7")), 503, "events-off")
    refused(client.delete("/v1/users/ann"), 503, "events-off")


def test_a_store_that_fails_refuses_events_and_leaves_the_lists_answering(serve, events_url):
    client = serve()
    before = ids(recommended(client, "ann"))
    broken = EventStore(events_url)
    with broken.rewriting() as connection:
        connection.execute(text("DROP TABLE events"))
    broken.close()
    answer = send(client, like("ann", "i7"))
    assert "not acknowledged" in refused(answer, 503, "events-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ids(recommended(client, "ann")) == before
    assert client.get("/readyz").json()["problems"]
    assert client.get("/readyz").status_code == 200
