"""Items that a version was not made with: placed by their features within the request, in every list at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cml.vocabulary import Vocabulary
from service import added
from service.added import place
from tests.service.conftest import ids, refused
from tests.service.worlds import content, placing, publish


@pytest.fixture
def models(tmp_path):
    """A registry whose current version can place items."""
    publish(tmp_path / "models", placing(content()))
    return tmp_path / "models"


def put(client, item_id: str, features: dict | None = None, hidden: bool = False, **metadata):
    body = {"metadata": metadata, "hidden": hidden} | ({} if features is None else {"features": features})
    answer = client.put(f"/v1/items/{item_id}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def recommended(client, user_id: str, **parameters) -> list[str]:
    return ids(client.get(f"/v1/users/{user_id}/recommendations", params=parameters))


def test_a_new_item_is_recommended_to_the_right_users_by_every_worker_at_once(serve):
    one, other = serve(), serve()
    assert recommended(other, "ann")[0] == "i1"
    assert put(one, "new", title="The Thing", genres=["Horror"], year=1982) == {
        "item_id": "new",
        "title": "The Thing",
        "metadata": {"genres": ["Horror"], "year": 1982},
        "hidden": False,
        "in_model": False,
        "placed": True,
        "placed_by": ["genres", "year"],
        "reason": None,
        "liked_by": 0,
    }
    for client in (one, other):
        assert recommended(client, "ann")[0] == "new"
        assert recommended(client, "bob")[-1] == "new"
        first = client.get("/v1/users/ann/recommendations?k=1").json()["items"][0]
        assert first == {
            "item_id": "new",
            "title": "The Thing",
            "metadata": {"genres": ["Horror"], "year": 1982},
            "distance": pytest.approx(0.05),
            "score": None,
        }


def test_it_is_like_any_other_item(client):
    put(client, "new", title="The Thing", genres=["Horror"])
    assert ids(client.get("/v1/items/i0/similar"))[0] == "new"
    assert ids(client.get("/v1/items/new/similar"))[0] == "i0"
    near = client.get("/v1/items/new/users").json()["users"]
    assert [user["user_id"] for user in near] == ["ann", "bob", "Zoë/ü 1"]
    found = client.get("/v1/items", params={"title": "thing"}).json()["items"]
    assert [item["item_id"] for item in found] == ["new"]
    assert recommended(client, "bob", where='{"genres": ["Horror"]}') == ["i0", "new"]
    assert recommended(client, "ann", allow="new") == ["new"]
    assert "new" not in recommended(client, "ann", exclude="new")
    session = client.post("/v1/recommendations", json={"liked": [{"item_id": "new"}], "k": 1, "explain": 1})
    assert ids(session) == ["a/b"]
    assert session.json()["items"][0]["because"][0]["title"] == "The Thing"
    assert ids(client.get("/v1/lists/recent"))[0] == "new"
    assert ids(client.get("/v1/lists/popular"))[-1] == "new"


def test_events_about_it_count(client):
    put(client, "new", genres=["Comedy"])
    event = {"user_id": "stranger", "item_id": "new", "type": "like"}
    assert client.post("/v1/events", json={"events": [event]}).json()["unknown_items"] == []
    answer = client.get("/v1/users/stranger/recommendations?k=2")
    assert answer.json()["strategy"] == "session"
    assert ids(answer) == ["i6", "i5"]


def test_it_is_hidden_and_shown_again(client):
    put(client, "new", genres=["Horror"], hidden=True)
    assert "new" not in recommended(client, "ann")
    assert client.delete("/v1/items/new/hidden").json()["placed"] is True
    assert recommended(client, "ann")[0] == "new"
    client.put("/v1/items/new/hidden")
    assert "new" not in recommended(client, "ann")


def test_other_features_move_it(client):
    put(client, "new", genres=["Horror"])
    assert recommended(client, "ann")[0] == "new"
    put(client, "new", genres=["Comedy"])
    assert recommended(client, "ann")[-1] == "new"


def test_features_that_are_not_shown_place_it_too_and_go_before_metadata(client):
    answer = put(client, "new", {"genres": ["Horror"], "plot": "A crime"}, title="T", genres=["Comedy"])
    assert answer["placed_by"] == ["genres", "plot"]
    assert answer["metadata"] == {"genres": ["Comedy"]}
    assert recommended(client, "ann")[0] == "new"


@pytest.mark.parametrize(
    "metadata", [{}, {"title": "T"}, {"genres": ["Musical"]}, {"genres": [], "year": None}]
)
def test_without_a_feature_that_the_version_knows_it_has_no_place(client, metadata):
    answer = put(client, "new", **metadata)
    assert answer["placed"] is False
    assert answer["reason"] == "none of its features (genres, year, plot) has a value that the version knows"
    assert "new" not in recommended(client, "ann", k=20)
    assert ids(client.get("/v1/lists/recent"))[0] == "new"
    refused(client.get("/v1/items/new/similar"), 422, "invalid-request")
    refused(client.get("/v1/items/new/users"), 422, "invalid-request")
    allowed = client.get("/v1/users/ann/recommendations", params={"allow": "new"}).json()
    assert (allowed["items"], allowed["skipped"]) == ([], ["new"])
    event = {"user_id": "ann", "item_id": "new", "type": "like"}
    assert client.post("/v1/events", json={"events": [event]}).json()["unknown_items"] == []
    assert client.get("/v1/users/ann/recommendations").json()["skipped"] == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"features": {"year": "soon"}}', "features.year: 'soon' is not a finite number or a date"),
        ('{"metadata": {"year": true}}', "metadata.year"),
        ('{"metadata": {"year": 1e999}}', "metadata.year"),
        ('{"features": {"year": 1e999}}', "features.year"),
        ('{"features": {"year": ["1999"]}}', "features.year: ['1999'] is not a finite number or a date"),
        ('{"features": {"genres": 5}}', "features.genres: 5 is not a list of texts"),
        ('{"features": {"plot": ["a"]}}', "features.plot: ['a'] is not a text"),
        ('{"features": {"year": 1' + "0" * 400 + "}}", "features.year"),
        ('{"metadata": {"title": "\\ud800"}}', "body"),
        ('{"metadata": {"ti\\u0000tle": "a"}}', "metadata.ti"),
        (
            '{"metadata": {"genres": [1, 2]}}',
            "metadata.genres: Value error, must be a finite number, a text,",
        ),
        ('{"metadata": {"year": NaN}}', "metadata.year: Value error, must be a finite number"),
        ('{"features": [1.5]}', "features"),
        ('{"features": {"year": {"min": 3}}}', "features.year"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(client, body, place):
    answer = client.put("/v1/items/new", content=body)
    if place == "body":
        assert answer.status_code == 422
    else:
        assert place in refused(answer, 422, "invalid-request")
    assert client.get("/v1/items/new").status_code == 404


def test_numbers_beyond_64_bits_break_nobody_elses_list(client):
    for item_id, number in (("new", "1" + "0" * 20), ("i1", "-1" + "0" * 30), ("new2", "1e300")):
        body = f'{{"metadata": {{"genres": ["Horror"], "year": {number}, "pages": {number}}}}}'
        answer = client.put(f"/v1/items/{item_id}", content=body)
        assert answer.status_code == 200, answer.text
    client.post("/v1/admin/reload")
    assert recommended(client, "ann", k=3) == ["new", "new2", "i1"]
    assert client.get("/v1/items/new").json()["metadata"]["pages"] == 1e20
    assert ids(client.get("/v1/lists/recent", params={"k": 2})) == ["new2", "new"]


def test_a_listing_does_not_repeat_items_though_others_arrive(client):
    pages = [client.get("/v1/users/ann/recommendations", params={"k": 2}).json()]
    for number in range(10):
        put(client, f"new{number}", genres=["Horror"])
        if pages[-1]["next"] is None:
            break
        parameters = {"k": 2, "cursor": pages[-1]["next"]}
        pages.append(client.get("/v1/users/ann/recommendations", params=parameters).json())
    listing = [item["item_id"] for page in pages for item in page["items"]]
    assert listing == ["i1", "a/b", "i4", "i5", "i6", "i7"]
    assert recommended(client, "ann", k=3) == ["new0", "new1", "new2"]


def test_a_restarted_service_places_it_again(serve):
    put(serve(), "new", genres=["Horror"])
    assert recommended(serve(), "ann")[0] == "new"


def test_each_version_places_it_by_its_own_extractor_and_one_that_knows_it_does_not(serve, models):
    client = serve()
    put(client, "new", title="New", genres=["Horror"])
    publish(models, placing(content(shift=0.01), {"Horror": 0.99}))
    client.post("/v1/admin/reload")
    assert recommended(client, "ann")[-1] == "new"
    publish(models, content(shift=0.02))
    client.post("/v1/admin/reload")
    assert client.get("/v1/items/new").json()["reason"] == "the version has no feature extractor"
    assert "new" not in recommended(client, "ann")
    trained = content(shift=0.03)
    items = Vocabulary(["new" if item == "i7" else item for item in trained.items])
    publish(models, placing(replace(trained, items=items)))
    client.post("/v1/admin/reload")
    item = client.get("/v1/items/new").json()
    assert (item["in_model"], item["placed"], item["title"]) == (True, True, "New")
    assert recommended(client, "ann")[-1] == "new"


def test_new_columns_of_mixed_kinds_do_not_keep_versions_away(serve, models):
    client = serve()
    for item_id, value in (("new", 5), ("i0", "five"), ("i1", 5), ("new2", ["five"])):
        put(client, item_id, mood=value, genres=["Horror"])
    name = publish(models, placing(content(shift=0.01)))
    client.post("/v1/admin/reload")
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["model_version"]) == ("ready", name)


def test_items_are_placed_in_a_new_version_before_it_answers(serve, models, monkeypatch):
    client = serve()
    for number in range(5):
        put(client, f"new{number}", title="New", genres=["Horror"])
    client.put("/v1/items/new0/hidden")
    client.put("/v1/items/i1/hidden")
    placed = []
    monkeypatch.setattr(
        added, "place", lambda states, version: placed.append(len(states)) or place(states, version)
    )
    name = publish(models, placing(content(shift=0.01)))
    client.post("/v1/admin/reload")
    assert sum(placed) == 5
    placed.clear()
    answer = client.get("/v1/users/ann/recommendations", params={"k": 6})
    assert answer.json()["model_version"] == name
    assert ids(answer) == ["new1", "new2", "new3", "new4", "a/b", "i4"]
    assert sum(placed) == 0


def test_metadata_of_the_versions_own_items_is_changed_and_given_back(serve, models):
    client = serve()
    put(client, "i1", title="Renamed", genres=["Horror"])
    put(client, "new", genres=["Horror"])
    client.post("/v1/admin/reload")
    assert client.get("/v1/items/i1").json()["title"] == "Renamed"
    client.put("/v1/items/i1/hidden")
    client.post("/v1/admin/reload")
    assert client.get("/v1/items/i1").json()["title"] == "Renamed"
    assert client.put("/v1/items/i1", json={}).status_code == 200
    client.post("/v1/admin/reload")
    assert client.get("/v1/items/i1").json()["title"] == "Aliens"
    assert recommended(client, "ann", k=2) == ["new", "i1"]


def test_an_id_that_no_event_could_name_is_refused(client):
    assert put(client, "x" * 500, title="T")["item_id"] == "x" * 500
    for path in (f"/v1/items/{'x' * 501}", f"/v1/items/{'x' * 501}/hidden"):
        detail = refused(client.put(path, json={"metadata": {"title": "T"}}), 422, "invalid-request")
        assert "500 characters" in detail


def test_the_model_names_every_column_that_can_be_filtered_by(client):
    put(client, "new", title="T", studio=["Ghibli"])
    columns = client.get("/v1/model").json()["columns"]
    assert columns == {"title": "text", "genres": "tags", "year": "number", "studio": "tags"}
    assert ids(client.get("/v1/lists/popular", params={"where": '{"studio": "Ghibli"}'})) == ["new"]
