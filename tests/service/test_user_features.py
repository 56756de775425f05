"""`user_features` in `POST /v1/recommendations`."""

from __future__ import annotations

import pytest

from tests.service.conftest import ids, refused
from tests.service.worlds import content, placing, publish, welcoming


@pytest.fixture
def models(tmp_path):
    publish(tmp_path / "models", welcoming(content()))
    return tmp_path / "models"


def ask(client, **body):
    return client.post("/v1/recommendations", json=body)


def test_somebody_new_is_answered_from_what_is_known_of_them(client) -> None:
    answer = ask(client, user_features={"town": "Cork", "age": 30}, k=3)
    assert (answer.json()["strategy"], ids(answer)) == ("features", ["i7", "i6", "i5"])
    assert answer.json()["items"][0]["distance"] == pytest.approx(0.02, abs=1e-5)
    assert answer.json()["items"][0]["score"] is None
    named = ask(client, user_id="somebody", user_features={"town": "Bonn"}, k=1, explain=2)
    assert (named.json()["strategy"], named.json()["user_id"], ids(named)) == ("features", "somebody", ["i1"])
    assert named.json()["items"][0]["because"] == []


def test_likes_and_features_count_together(client) -> None:
    body = {"liked": [{"item_id": "i7"}], "k": 7}
    both = ask(client, **body, user_features={"town": "Bonn"})
    assert both.json()["strategy"] == "session-features"
    assert ids(both) != ids(ask(client, **body))
    unknown = ask(client, **body, user_features={"town": "Rome"})
    assert (unknown.json()["strategy"], ids(unknown)) == ("session", ids(ask(client, **body)))


def test_events_of_somebody_new_count_beside_the_features(client) -> None:
    event = {"event_id": "1", "user_id": "new", "item_id": "i7", "type": "like"}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 200
    answer = ask(client, user_id="new", user_features={"town": "Bonn"}, k=8)
    assert answer.json()["strategy"] == "session-features"
    assert "i7" not in ids(answer)


def test_a_user_of_the_version_is_where_training_put_them(client) -> None:
    described = ask(client, user_id="ann", user_features={"town": "Cork"}, k=8)
    assert described.json()["strategy"] == "personal"
    assert described.json()["items"] == ask(client, user_id="ann", k=8).json()["items"]


def test_pages_go_on_only_with_the_same_features(client) -> None:
    first = ask(client, user_features={"town": "Cork"}, k=3).json()
    second = ask(client, user_features={"town": "Cork"}, k=3, cursor=first["next"])
    assert ids(second) == ["i4", "日本", "a/b"]
    refused(ask(client, user_features={"town": "Bonn"}, k=3, cursor=first["next"]), 422, "invalid-request")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"city": "Bonn"}, "user_features: 'city' is no feature of users in this version, only town, age"),
        ({"age": "old"}, "user_features: age: 'old' is not a finite number or a date"),
        ({"town": {"name": "Bonn"}}, "user_features.town"),
        (["Bonn"], "user_features"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(client, features, said: str) -> None:
    assert said in refused(ask(client, user_features=features), 422, "invalid-request")
    assert said in refused(ask(client, user_id="ann", user_features=features), 422, "invalid-request")


def test_a_model_without_features_of_users_says_so(models, serve) -> None:
    client = serve()
    assert client.get("/v1/model").json()["user_features"] == {"town": "categorical", "age": "numeric"}
    publish(models, placing(content()))
    plain = serve()
    said = refused(ask(plain, user_features={}, liked=[{"item_id": "i7"}]), 422, "invalid-request")
    assert "user_features: this version was trained without features of users" in said
    assert plain.get("/v1/model").json()["user_features"] == {}
    assert ask(plain, liked=[{"item_id": "i7"}], user_features=None).json()["strategy"] == "session"
