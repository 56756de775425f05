"""Experiments over HTTP: which lists count as shown, to whom, and while what is compared."""

from __future__ import annotations

import pytest

from cml import artifact
from cml.events.store import EventStore
from cml.registry import Registry
from tests.service.conftest import refused
from tests.service.worlds import content, publish

ANN = "/v1/users/ann/recommendations"


@pytest.fixture
def events_url(any_events_url: str) -> str:
    """Every test of this file runs with SQLite and with PostgreSQL."""
    return any_events_url


@pytest.fixture
def candidate(models) -> str:
    """A version beside the current one."""
    artifact.write(content(flip=True), models.parent / "candidate")
    return Registry(models).publish(models.parent / "candidate", activate=False)


def begin(client, candidate: str):
    return client.put("/v1/admin/experiment", json={"name": "flip", "candidate": candidate, "share": 0.5})


def lists_shown(client, events_url: str) -> dict[str, int]:
    """By user, after what was counted in memory is written."""
    client.post("/v1/admin/reload")
    store = EventStore(events_url)
    shown = store.exposures("flip")
    store.close()
    return {user: lists for users in shown.values() for user, lists in users.items()}


@pytest.mark.parametrize(
    "options", ["where=%7B%22colour%22%3A1%7D", "available_at=never", "k=501", "cursor=x", "max_distance=-1"]
)
def test_a_request_that_is_refused_showed_nobody_a_list(client, candidate, events_url, options):
    begin(client, candidate)
    refused(client.get(f"{ANN}?{options}"), 422, "invalid-request")
    asked = {"user_id": "ann", "user_features": {"age": 1}}
    refused(client.post("/v1/recommendations", json=asked), 422, "invalid-request")
    assert lists_shown(client, events_url) == {}
    client.get(ANN)
    client.post("/v1/recommendations", json={"user_id": "ann"})
    client.post("/v1/recommendations/batch", json={"user_ids": ["ann", "bob"]})
    client.post("/v1/recommendations", json={"liked": [{"item_id": "i0"}]})  # of whom nobody knows who it is
    assert lists_shown(client, events_url) == {"ann": 3, "bob": 1}


def test_an_id_that_no_event_could_name_takes_no_part_and_costs_the_others_nothing(
    client, candidate, events_url
):
    begin(client, candidate)
    nobody = "".join(f"{number:04x}" for number in range(2000))  # longer than an index of PostgreSQL takes
    client.get(ANN)
    assert client.get(f"/v1/users/{nobody}/recommendations").json()["variant"] is None
    assert lists_shown(client, events_url) == {"ann": 1}


def test_an_erased_users_lists_are_forgotten_that_were_not_written_yet(serve, candidate, events_url):
    one, other = serve(), serve()
    begin(one, candidate)
    other.post("/v1/admin/reload")
    for client in (one, other):
        client.get(ANN)
        client.get("/v1/users/bob/recommendations")
    one.delete("/v1/users/ann")
    lists_shown(one, events_url)
    assert lists_shown(other, events_url) == {"bob": 2}
    one.get(ANN)  # somebody new
    assert lists_shown(one, events_url) == {"bob": 2, "ann": 1}


def test_a_candidate_that_became_the_current_version_is_compared_with_nothing(client, candidate, events_url):
    begin(client, candidate)
    assert client.get(ANN).json()["variant"] is not None
    assert lists_shown(client, events_url) == {"ann": 1}
    client.post(f"/v1/admin/versions/{candidate}/activate")
    promoted = client.get(ANN).json()
    assert (promoted["model_version"], promoted["variant"]) == (candidate, None)
    assert lists_shown(client, events_url) == {"ann": 1}
    client.post("/v1/admin/rollback")
    assert client.get(ANN).json()["variant"] is not None


def test_an_experiment_needs_another_candidate_than_the_current_version(client, models):
    current = Registry(models).require_current()
    assert current in refused(begin(client, current), 409, "not-possible")
    assert client.get("/v1/admin/versions").json()["experiment"] is None
    publish(models, content(flip=True))  # not taken over by this worker yet
    assert begin(client, current).status_code == 200


def test_a_candidate_that_is_gone_or_damaged_is_told_as_that_and_leaves_the_current_version(
    serve, candidate, models
):
    begin(serve(), candidate)
    versions = models / "versions"
    (versions / candidate / "vectors.safetensors").write_bytes(b"damaged")
    for _ in range(2):
        client = serve()  # starts anew: the first one has the candidate in memory
        assert client.get(ANN).json()["variant"] is None
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert "the experiment's candidate cannot be loaded" in ready.json()["problems"][0]
        assert "end the experiment" in client.get("/v1/admin/versions").json()["failure"]
        assert "cml_reload_failing 1.0" in client.get("/metrics").text
        if (versions / candidate).exists():
            (versions / candidate).rename(models / "away")
    client.delete("/v1/admin/experiment")
    assert client.get("/v1/admin/versions").json()["failure"] is None
    assert "cml_reload_failing 0.0" in client.get("/metrics").text
