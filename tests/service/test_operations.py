"""Versions, experiments, item changes, probes and metrics."""

from __future__ import annotations

import asyncio
import re

import orjson

from cml.experiments import CANDIDATE, CONTROL
from cml.registry import Registry
from service.answers import Answers
from service.app import create_app
from service.experiments import variant_of
from service.metrics import Metrics
from service.settings import SHARED_METRICS, Settings
from tests.service.conftest import ids, refused
from tests.service.worlds import content, publish


def version_of(client) -> str:
    return client.get("/v1/model").json()["version"]


def test_a_new_version_answers_after_a_look_at_current(serve, models):
    client = serve()
    before = ids(client.get("/v1/users/ann/recommendations"))
    newer = publish(models, content(flip=True))
    assert version_of(client) != newer
    assert client.post("/v1/admin/reload").json()["current"] == newer
    after = client.get("/v1/users/ann/recommendations")
    assert ids(after) != before
    assert after.json()["model_version"] == newer


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_answering(serve, models):
    client = serve()
    old = version_of(client)
    newer = publish(models, content(flip=True))
    victim = models / "versions" / newer / "vectors.safetensors"
    damaged = bytearray(victim.read_bytes())
    damaged[-1] ^= 1
    victim.write_bytes(bytes(damaged))
    state = client.post("/v1/admin/reload").json()
    assert state["current"] == old
    assert "vectors.safetensors" in state["failure"]
    assert client.get("/v1/users/ann/recommendations").json()["model_version"] == old
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "vectors.safetensors" in ready.text
    assert "cml_reload_failing 1.0" in client.get("/metrics").text
    damaged[-1] ^= 1
    victim.write_bytes(bytes(damaged))
    assert client.post("/v1/admin/reload").json() | {"versions": []} == {
        "current": newer,
        "versions": [],
        "experiment": None,
        "failure": None,
    }
    assert "cml_reload_failing 0.0" in client.get("/metrics").text


def test_a_registry_that_is_gone_leaves_the_version_in_use_answering_and_is_told(serve, tmp_path):
    models = tmp_path / "registry"
    first = publish(models)
    client = serve(models=models, events=f"sqlite:///{tmp_path / 'events.db'}")
    models.rename(tmp_path / "away")
    assert "cannot be reached" in client.post("/v1/admin/reload").json()["failure"]
    assert client.get("/v1/users/ann/recommendations").json()["model_version"] == first
    assert str(models) in client.get("/readyz").text
    assert "cml_reload_failing 1.0" in client.get("/metrics").text
    asked = {"name": "a", "candidate": first, "share": 0.5}
    for refusal in (
        client.post("/v1/admin/rollback"),
        client.post(f"/v1/admin/versions/{first}/activate"),
        client.put("/v1/admin/experiment", json=asked),
    ):
        assert str(models) in refused(refusal, 503, "registry-unavailable")
    assert not models.exists()
    (tmp_path / "away").rename(models)
    assert client.post("/v1/admin/reload").json()["failure"] is None
    assert "cml_reload_failing 0.0" in client.get("/metrics").text


def test_without_a_model_the_service_is_alive_but_not_ready_and_picks_the_first_one_up(serve, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    client = serve(models=empty)
    assert client.get("/livez").status_code == 200
    assert client.get("/startupz").status_code == 200
    assert client.get("/readyz").status_code == 503
    refused(client.get("/v1/users/ann/recommendations"), 503, "not-ready")
    refused(client.get("/v1/model"), 503, "not-ready")
    publish(empty)
    client.post("/v1/admin/reload")
    assert client.get("/readyz").status_code == 200


def test_a_service_that_starts_with_a_damaged_current_version_is_not_ready_until_it_goes_back(serve, models):
    first = Registry(models).require_current()
    second = publish(models, content(flip=True))
    (models / "versions" / second / "vectors.safetensors").write_bytes(b"damaged")
    client = serve()
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "vectors.safetensors" in ready.json()["problems"][0]
    assert client.get("/livez").status_code == client.get("/startupz").status_code == 200
    event = {"user_id": "ann", "item_id": "i7", "type": "like"}
    assert client.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
    assert client.post("/v1/admin/rollback").json()["current"] == first
    assert client.get("/readyz").status_code == 200


def test_rollback_and_activation_move_the_pointer(serve, models):
    client = serve()
    first = version_of(client)
    refused(client.post("/v1/admin/rollback"), 409, "not-possible")
    second = publish(models, content(flip=True))
    client.post("/v1/admin/reload")
    assert client.post("/v1/admin/rollback").json()["current"] == first
    assert Registry(models).current() == first
    assert client.post(f"/v1/admin/versions/{second}/activate").json()["current"] == second
    refused(client.post("/v1/admin/versions/000009-0123456789ab/activate"), 404, "unknown-version")
    assert "'a/b'" in refused(client.post("/v1/admin/versions/a%2Fb/activate"), 404, "unknown-version")


def test_variants_are_stable_and_take_their_share():
    users = [f"user {number}" for number in range(4000)]
    drawn = [variant_of("test", user, 0.25) for user in users]
    assert drawn == [variant_of("test", user, 0.25) for user in users]
    assert 0.22 < drawn.count(CANDIDATE) / len(users) < 0.28
    wider = [variant_of("test", user, 0.5) for user in users]
    assert all(after == CANDIDATE for before, after in zip(drawn, wider, strict=True) if before == CANDIDATE)
    other = [variant_of("other", user, 0.25) for user in users]
    both = sum(one == two == CANDIDATE for one, two in zip(drawn, other, strict=True))
    assert 0.03 < both / len(users) < 0.1  # independent: a sixteenth


def test_an_experiment_divides_the_users_and_names_the_variant(serve, models):
    client = serve()
    current = version_of(client)
    staged = models.parent / "candidate"
    from cml import artifact

    artifact.write(content(flip=True), staged)
    candidate = Registry(models).publish(staged, activate=False)
    asked = {"name": "flip", "candidate": candidate, "share": 0.5}
    assert client.put("/v1/admin/experiment", json=asked).json()["experiment"] == asked
    answers = [client.get(f"/v1/users/u{number}/recommendations").json() for number in range(20)]
    for number, answer in enumerate(answers):
        assert answer["variant"] == variant_of("flip", f"u{number}", 0.5)
        assert answer["model_version"] == (candidate if answer["variant"] == CANDIDATE else current)
        assert f".flip:{answer['variant']}." in answer["recommendation_id"]
    assert {answer["variant"] for answer in answers} == {CONTROL, CANDIDATE}
    assert 'variant="candidate"' in client.get("/metrics").text
    client.post("/v1/admin/reload")  # exposures are written with each look around
    from cml.events.store import EventStore

    shown = EventStore(f"sqlite:///{models / 'events.db'}").exposures("flip")
    assert sum(sum(users.values()) for users in shown.values()) == 20
    assert client.delete("/v1/admin/experiment").json()["experiment"] is None
    assert client.get("/v1/users/u1/recommendations").json()["variant"] is None
    refused(client.delete("/v1/admin/experiment"), 409, "no-experiment")
    refused(client.put("/v1/admin/experiment", json=asked | {"candidate": "x"}), 404, "unknown-version")


def test_a_listing_that_began_before_an_experiment_is_no_variants(serve, models):
    client = serve()
    first = client.get("/v1/users/ann/recommendations?k=2").json()
    candidate = publish(models, content(flip=True))
    Registry(models).rollback()
    client.post("/v1/admin/reload")
    client.put("/v1/admin/experiment", json={"name": "flip", "candidate": candidate, "share": 0.999})
    second = client.get("/v1/users/ann/recommendations", params={"k": 2, "cursor": first["next"]}).json()
    assert second["model_version"] == first["model_version"]
    assert second["variant"] is None
    assert CANDIDATE not in second["recommendation_id"]
    anew = client.get("/v1/users/ann/recommendations?k=2").json()
    assert (anew["model_version"], anew["variant"]) == (candidate, CANDIDATE)
    further = client.get("/v1/users/ann/recommendations", params={"k": 2, "cursor": anew["next"]}).json()
    assert (further["model_version"], further["variant"]) == (candidate, CANDIDATE)


def test_a_hidden_item_is_in_no_list_of_any_worker_and_can_be_shown_again(serve):
    one, other = serve(), serve()
    assert one.put("/v1/items/a%2Fb/hidden").json()["hidden"] is True
    for client in (one, other):
        for path in (
            "/v1/users/ann/recommendations",
            "/v1/lists/popular",
            "/v1/items/i1/similar",
            "/v1/users/x/recommendations",
        ):
            assert "a/b" not in ids(client.get(path)), path
        assert client.get("/v1/items/a%2Fb").json()["hidden"] is True
    assert other.delete("/v1/items/a%2Fb/hidden").json()["hidden"] is False
    assert "a/b" in ids(one.get("/v1/users/ann/recommendations"))


def test_showing_an_item_that_nobody_knows_leaves_it_unknown(client):
    refused(client.delete("/v1/items/nope/hidden"), 404, "unknown-item")
    refused(client.get("/v1/items/nope"), 404, "unknown-item")


def test_changed_metadata_is_shown_searched_and_filtered_by(client):
    changed = {"metadata": {"title": "Heated", "year": 2030, "genres": ["Romance"]}}
    assert client.put("/v1/items/i5", json=changed).status_code == 200
    client.post("/v1/admin/reload")  # or a moment later by itself
    item = client.get("/v1/items/i5").json()
    assert (item["title"], item["metadata"]) == ("Heated", {"genres": ["Romance"], "year": 2030})
    assert [
        one["item_id"] for one in client.get("/v1/items", params={"title": "heated"}).json()["items"]
    ] == ["i5"]
    assert ids(client.get("/v1/users/ann/recommendations", params={"where": '{"year": {"min": 2020}}'})) == [
        "i5"
    ]
    shown = client.get("/v1/users/ann/recommendations").json()["items"]
    assert [one["title"] for one in shown if one["item_id"] == "i5"] == ["Heated"]


def test_metadata_that_does_not_fit_its_column_is_refused(client):
    refused(client.put("/v1/items/i5", json={"metadata": {"year": "soon"}}), 422, "invalid-request")
    refused(client.put("/v1/items/i5", json={"metadata": {"year": {"a": 1}}}), 422, "invalid-request")


def test_an_item_that_the_version_cannot_place_is_kept_for_the_next_one(client):
    answer = client.put(
        "/v1/items/brand-new", json={"metadata": {"title": "Later"}, "features": {"plot": "..."}}
    )
    assert answer.json() == {
        "item_id": "brand-new",
        "title": "Later",
        "metadata": {},
        "hidden": False,
        "in_model": False,
        "placed": False,
        "placed_by": [],
        "reason": "the version has no feature extractor",
        "liked_by": 0,
    }
    assert client.get("/v1/items/brand-new").json()["title"] == "Later"


def test_draining_turns_readiness_off_and_answers_on(models):
    from starlette.testclient import TestClient

    from service.lifecycle import Lifecycle

    lifecycle = Lifecycle()
    with TestClient(create_app(Settings(models=models, access_log=False), lifecycle)) as client:
        lifecycle.draining = True
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/users/ann/recommendations").status_code == 200


def test_metrics_count_by_route_template(client):
    client.get("/v1/users/ann/recommendations")
    client.get("/v1/users/nobody/recommendations")
    client.get("/v1/items/nope")
    page = client.get("/metrics").text
    assert (
        'cml_requests_total{method="GET",route="/v1/users/{user_id}/recommendations",status="200"} 2.0'
        in page
    )
    assert 'cml_requests_total{method="GET",route="/v1/items/{item_id}",status="404"} 1.0' in page
    assert 'cml_answers_total{strategy="popular",variant=""} 1.0' in page
    assert "nobody" not in page
    assert "nope" not in page


def test_a_batch_may_take_longer_than_an_answer_while_it_goes_on(serve, monkeypatch):
    client = serve(answer_timeout=0.5)
    waits = iter([0.2] * 5 + [5.0])
    make = Answers.for_user

    async def slowly(*asked) -> bytes:
        await asyncio.sleep(next(waits))
        return await make(*asked)

    monkeypatch.setattr(Answers, "for_user", slowly)
    lines = client.post("/v1/recommendations/batch", json={"user_ids": ["ann"] * 5, "k": 1}).text.splitlines()
    assert [orjson.loads(line)["user_id"] for line in lines] == ["ann"] * 5
    assert client.post("/v1/recommendations/batch", json={"user_ids": ["ann"]}).text == ""  # cut off


def test_an_answer_that_takes_too_long_is_a_503(serve, monkeypatch):
    import asyncio

    client = serve(answer_timeout=0.01)

    async def slow(*_args):
        await asyncio.sleep(5)

    monkeypatch.setattr("service.answers.Answers.run", slow)
    refused(client.get("/v1/lists/popular"), 503, "too-slow")


def test_a_large_catalogue_is_searched_on_its_own_thread_with_the_same_result(serve, monkeypatch):
    client = serve()
    inline = ids(client.get("/v1/items/i0/similar"))
    monkeypatch.setattr("service.answers._INLINE", 0)
    assert ids(client.get("/v1/items/i0/similar")) == inline


def test_the_explorer_loads_nothing_from_elsewhere(client):
    assert client.get("/", follow_redirects=False).headers["location"] == "/explorer/"
    page = client.get("/explorer/").text
    parts = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert {"explorer.css", "explorer.js"} <= set(parts)
    for part in parts:
        assert not re.match(r"https?:|//", part), part
    for name in ("explorer.css", "explorer.js"):
        assert client.get(f"/explorer/{name}").status_code == 200
        assert "http" not in client.get(f"/explorer/{name}").text.replace("http-equiv", "")


def test_the_files_of_shared_metrics_have_their_blocks_before_anything_is_counted(tmp_path, monkeypatch):
    monkeypatch.setenv(SHARED_METRICS, str(tmp_path))
    Metrics()
    files = sorted(tmp_path.iterdir())
    assert [file.name.rpartition("_")[0] for file in files] == ["counter", "gauge_livemax", "histogram"]
    for file in files:
        assert file.stat().st_size == 1 << 20
        assert file.stat().st_blocks * 512 >= 1 << 20  # a hole would kill who counts into it on a full disk


def seen_at(client) -> float:
    [found] = re.findall(r"^cml_event_seen_seconds (.+)$", client.get("/metrics").text, flags=re.MULTILINE)
    return float(found)


def test_a_quiet_hour_is_not_taken_for_events_that_nobody_looks_at(serve):
    client = serve()
    before = seen_at(client)
    client.post("/v1/admin/reload")  # a look around, with nothing to take over
    assert seen_at(client) > before > 0


def test_a_store_that_does_not_answer_has_not_been_seen(serve, models):
    client = serve()
    before = seen_at(client)
    (models / "events.db").unlink()
    client.post("/v1/admin/reload")
    assert seen_at(client) == before


def test_no_request_waits_for_a_thread_to_read_its_options(serve, monkeypatch):
    """The framework calls plain functions in a thread: dependencies have to be coroutines."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a thread was asked for")

    client = serve()
    monkeypatch.setattr("fastapi.dependencies.utils.run_in_threadpool", refuse)
    monkeypatch.setattr("fastapi.routing.run_in_threadpool", refuse)
    for path in ("/v1/users/ann/recommendations?k=3&explain=1", "/v1/items?title=a", "/v1/lists/popular?k=2"):
        assert client.get(path).status_code == 200, path
