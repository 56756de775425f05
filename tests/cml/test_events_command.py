"""`cml events`: from a running store to a file, and from the file to another store."""

from __future__ import annotations

import pytest

from cml import artifact
from cml.errors import EventStoreError
from cml.events.store import EventStore
from cml.events.values import Event
from tests.cml.small_models import content, registry
from tests.cml.test_model_commands import call, call_json


@pytest.fixture
def models(tmp_path):
    models = registry(tmp_path, versions=1)
    store = EventStore(f"sqlite:///{models.root / 'events.db'}")
    store.append([Event(str(number), "ann", "i1", "like", 1.0, 1.0) for number in range(3)])
    store.close()
    return models


def numbers(url: str) -> list[int]:
    store = EventStore(url)
    store.append([Event("next", "bob", "i1", "like", 1.0, 1.0)])
    found = [event.sequence for event in store.events_after(0, 100)]
    store.close()
    return found


def test_a_backup_of_the_registrys_own_store_fills_another_one(models, tmp_path):
    made = call_json("events", "backup", tmp_path / "b", "--models", models.root)
    assert made["rows"]["events"] == 3
    url = f"sqlite:///{tmp_path / 'other.db'}"
    output, code = call("events", "restore", tmp_path / "b", "--to", url, "--models", models.root)
    assert code == 0
    assert "3 events" in output
    assert numbers(url) == [1, 2, 3, 4]


def test_new_events_come_after_what_the_registrys_versions_have_learned(models, tmp_path):
    call("events", "backup", tmp_path / "b", "--models", models.root)
    learned = content(seed=9)
    learned.data["events_through"] = 500
    artifact.write(learned, tmp_path / "run")
    models.publish(tmp_path / "run")
    url = f"sqlite:///{tmp_path / 'other.db'}"
    call("events", "restore", tmp_path / "b", "--to", url, "--models", models.root)
    assert numbers(url) == [1, 2, 3, 501]


def test_a_store_in_use_is_replaced_only_when_told(models, tmp_path):
    call("events", "backup", tmp_path / "b", "--models", models.root)
    url = f"sqlite:///{models.root / 'events.db'}"
    with pytest.raises(EventStoreError, match="--replace"):
        call("events", "restore", tmp_path / "b", "--to", url)
    told = call_json("events", "restore", tmp_path / "b", "--to", url, "--replace")
    assert told["store"] == url
    assert told["rows"]["events"] == 3


def test_a_store_that_is_not_there_is_not_made_by_backing_it_up(tmp_path):
    with pytest.raises(EventStoreError, match="--events"):
        call("events", "backup", tmp_path / "b", "--models", tmp_path)
    assert list(tmp_path.iterdir()) == []
