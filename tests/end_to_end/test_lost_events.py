"""An event store that is not the one that was there before: told loudly, and nothing new is taken for old news."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cml.events.store import EventStore
from cml.events.values import Event
from cml.registry import Registry
from tests.cml.test_retrain_command import QUICK, two_groups
from tests.end_to_end.commands import complaint, run, text
from tests.end_to_end.servers import Server, server
from tests.service.conftest import ids
from tests.service.worlds import content, publish

pytestmark = pytest.mark.slow

LIST = "/v1/users/ann/recommendations"
LOST = "is not the event store that was here before"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models")
    return tmp_path / "models"


def like(running: Server, user: str = "ann", item: str = "i7") -> int:
    event = {"user_id": user, "item_id": item, "type": "like"}
    return httpx.post(running.url + "/v1/events", json={"events": [event]}, timeout=30).json()["accepted"]


def lost(running: Server) -> tuple[bool, bool]:
    """Whether readiness and the metric tell of it; the service is ready in any case."""
    ready = running.get("/readyz")
    assert ready.status_code == 200
    told = any(LOST in one or "is a new database, or an older one" in one for one in ready.json()["problems"])
    return told, "cml_event_store_lost 1.0" in running.get("/metrics").text


def test_a_file_that_is_missing_at_the_start_is_told_until_it_is_put_back(models: Path) -> None:
    with server(models) as running:
        assert like(running)
        assert lost(running) == (False, False)
    with server(models) as running:
        assert lost(running) == (False, False)
    (models / "events.db").rename(models / "events.away")
    for _ in range(2):  # at every start, not only when the new file is made
        with server(models) as running:
            assert lost(running) == (True, True)
            assert any(LOST in line for line in running.log)
            assert like(running, item="i6")
            assert "i6" not in ids(running.get(LIST))
    (models / "events.away").replace(models / "events.db")
    with server(models) as running:
        assert lost(running) == (False, False)
        assert "i7" not in ids(running.get(LIST))


def test_who_goes_on_with_the_new_file_says_so_by_removing_the_note(models: Path) -> None:
    with server(models) as running:
        assert like(running)
    (models / "events.db").unlink()
    with server(models) as running:
        assert lost(running) == (True, True)
    (models / "events.db.known").unlink()
    with server(models) as running:
        assert lost(running) == (False, False)


def test_a_restored_backup_is_the_store_that_belongs_there(models: Path, tmp_path: Path) -> None:
    with server(models) as running:
        assert like(running)
    text("events", "backup", tmp_path / "kept", "--models", models)
    (models / "events.db").unlink()
    assert "is gone; put it back" in complaint(run("events", "backup", tmp_path / "new", "--models", models))
    url = f"sqlite:///{models / 'events.db'}"
    text("events", "restore", tmp_path / "kept", "--to", url, "--models", models)
    with server(models) as running:
        assert lost(running) == (False, False)
        assert "i7" not in ids(running.get(LIST))


def test_events_and_erasures_count_though_the_version_has_learned_through_higher_numbers(
    tmp_path: Path, any_events_url: str
) -> None:
    models = tmp_path / "models"
    publish(models, content(data={"events_through": 1000, "erasures_through": 50}))
    with server(models, "--events", any_events_url) as running:
        assert lost(running) == (True, True)
        assert like(running)
        assert "i7" not in ids(running.get(LIST))
        assert running.get(LIST).json()["strategy"] == "personal"
        assert running.get("/v1/users/bob").json()["in_model"]
        assert httpx.delete(running.url + "/v1/users/bob", timeout=30).status_code == 200
        assert running.get("/v1/users/bob").status_code == 404
    with closing(EventStore(any_events_url)) as store:
        assert [event.sequence for event in store.events_after(0, 10)] == [1001]


def test_retraining_refuses_to_forget_what_a_lost_store_said(tmp_path: Path) -> None:
    models, files = tmp_path / "models", two_groups(tmp_path / "data.csv", likes=8)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with closing(EventStore(url)) as store:
        store.append([Event(f"e{n}", f"u{n}", f"i{n % 2}", "like", 1.0, 1.0) for n in range(30)])
    retrain = ["retrain", "--train", files, "--models", models]
    text(*retrain, "--events", url, *settings)
    before = Registry(models).current()
    assert "learned from events, too (through number 30)" in complaint(run(*retrain, "--force"))
    (tmp_path / "events.db").rename(tmp_path / "away.db")
    with closing(EventStore(url)) as store:
        assert store.complaint
    said = complaint(run(*retrain, "--events", url, "--force"))
    assert LOST in said
    assert "--no-events" in said
    (tmp_path / "events.db.known").unlink()
    again = run(*retrain, "--events", url, "--force")
    assert again.returncode == 1
    said = again.stderr.splitlines()[-1]
    assert "is a new database, or an older one" in said
    assert Registry(models).versions() == [before]
    text(*retrain, "--no-events", "--force", "--gate", "1")
    assert Registry(models).current() != before
