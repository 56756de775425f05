"""Which versions go, and which stay whatever is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cml import artifact
from cml.errors import ArtifactError, EventStoreError
from cml.events.meaning import ERASURES_KNOWN
from cml.events.store import EventStore
from cml.events.values import Experiment
from cml.registry import Registry
from tests.cml.small_models import content
from tests.cml.test_model_commands import call, call_json

NOW = datetime.now(UTC)


@pytest.fixture
def models(tmp_path) -> Registry:
    """Five versions, 40, 30, 20, 10 and 0 days old; the one that is 10 days old learned after one erasure."""
    models = Registry(tmp_path / "models")
    for seed, days in enumerate((40, 30, 20, 10, 0)):
        what = content(seed=seed)
        what.data[ERASURES_KNOWN] = int(days == 10)
        artifact.write(what, tmp_path / f"run-{seed}", created_at=NOW - timedelta(days=days, minutes=1))
        models.publish(tmp_path / f"run-{seed}")
    return models


@pytest.fixture
def store(models):
    store = EventStore(f"sqlite:///{models.root / 'events.db'}")
    yield store
    store.close()


def prune(models: Registry, *options: object) -> list[int]:
    """Places, from 0, of the versions that were removed."""
    before = models.versions()
    removed = call_json("models", "prune", "--models", models.root, *options)["removed"]
    assert models.versions() == [name for name in before if name not in removed]
    return [before.index(name) for name in removed]


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (("--keep", 4), [0]),
        (("--keep", 5), []),
        (("--keep", 1), [0, 1, 2]),  # the one before the current one stays
        (("--older-than", "25d"), [0, 1]),
        (("--older-than", "1h"), [0, 1, 2]),
        (("--older-than", "41d"), []),
        (("--keep", 4, "--older-than", "25d"), [0]),
        (("--keep", 2, "--older-than", "35d"), [0]),
    ],
)
def test_what_is_beyond_number_and_age_goes(models, options, gone):
    assert prune(models, *options) == gone


def test_the_current_version_and_the_one_before_stay_wherever_they_are(models):
    models.set_current(models.versions()[1])
    assert prune(models, "--keep", 1) == [2, 3]


def test_a_candidate_under_test_stays(models, store):
    store.decide(Experiment("warmer", models.versions()[0], 0.1))
    assert prune(models, "--keep", 1) == [1, 2]
    store.decide(Experiment("warmer", None, 0.0))
    assert prune(models, "--keep", 1) == [0]


def test_versions_that_hold_an_erased_user_go_unless_they_are_in_use(models, store):
    store.erase("nobody we know")
    assert prune(models, "--erased") == []
    user = models.load(models.versions()[0]).users[3]
    store.erase(user)
    last = models.versions()[-1]
    told = call_json("models", "prune", "--erased", "--models", models.root)
    assert len(told["removed"]) == 3
    assert {one["version"]: one["kept_as"] for one in told["versions"] if one["version"] == last} == {
        last: "current"
    }
    assert [one["erased_users"] for one in told["versions"]] == [1, 1, 1, 1, 1]
    output, _ = call("models", "prune", "--erased", "--models", models.root)
    assert f"kept {last}, the current version: holds 1 erased user" in output


def test_a_user_who_came_back_after_the_erasure_is_no_reason(models, store):
    store.erase(models.load(models.versions()[0]).users[3])
    judged = call_json("models", "prune", "--erased", "--dry-run", "--models", models.root)["versions"]
    assert [one["erased_users"] for one in judged] == [1, 1, 1, 0, 1]


def test_a_dry_run_says_all_and_removes_nothing(models):
    before = models.versions()
    told = call_json("models", "prune", "--keep", 1, "--dry-run", "--models", models.root)
    assert told["removed"] == before[:3]
    assert told["dry_run"] is True
    output, _ = call("models", "prune", "--keep", 1, "--dry-run", "--models", models.root)
    assert output.splitlines()[0] == f"would remove {before[0]}: 4 newer"
    assert models.versions() == before
    assert call("models", "prune", "--keep", 9, "--models", models.root)[0] == "nothing to remove\n"


def test_a_place_without_versions_stays_as_it_is(tmp_path):
    nowhere = tmp_path / "mistyped"
    assert call_json("models", "prune", "--models", nowhere, "--keep", "1")["removed"] == []
    assert not nowhere.exists()


def test_without_a_rule_or_without_the_store_nothing_is_removed(models):
    output, code = call("models", "prune", "--models", models.root)
    assert code == 2
    assert "--keep N, --older-than TIME or --erased" in output
    with pytest.raises(EventStoreError, match="--events"):
        call("models", "prune", "--erased", "--models", models.root)
    assert len(models.versions()) == 5


def test_a_version_that_cannot_be_read_is_not_passed_off_as_free_of_erased_users(models, store):
    store.erase("somebody")
    (models.path(models.versions()[0]) / "users.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=models.versions()[0]):
        call("models", "prune", "--erased", "--models", models.root)
    assert len(models.versions()) == 5
