"""A retraining of a registry by URL: its lock and its reports lie there, its unfinished steps on this host."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from cml.config import load_config
from cml.errors import LockedError, StoppedError
from cml.registry import Registry
from cml.retraining import past
from cml.retraining.order import Order
from cml.retraining.retrain import PUBLISHED, Retraining, retrain
from cml.storage.cache import Cache
from tests.cml.test_retrain_command import QUICK, two_groups


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}/models"


def seen_from(host: Path, url: str) -> Registry:
    return Registry(url, cache=Cache(host, 10**9))


def learn(registry: Registry, folder: Path, likes: int, **options) -> Retraining:
    data = folder / f"{likes}.csv"
    if not data.exists():  # a file that was written anew is another file
        two_groups(data, likes=likes)
    return retrain(registry, Order(config=load_config(None, QUICK), files=(data,)), **options)


def test_what_came_of_it_is_kept_with_the_versions_for_every_host(url: str, tmp_path: Path) -> None:
    here, there = seen_from(tmp_path / "here", url), seen_from(tmp_path / "there", url)
    first = learn(here, tmp_path, likes=8)
    second = learn(there, tmp_path, likes=10)
    assert (first.outcome, second.outcome, second.before) == (PUBLISHED, PUBLISHED, first.version)
    assert here.current() == second.version
    assert second.report_file == f"{url}/retraining/report.json"
    assert json.loads(here.read("retraining/report.json") or b"")["version"] == second.version
    assert [row["version"] for row in past.read(here)] == [first.version, second.version]


def test_one_that_was_stopped_goes_on_on_the_same_host(url: str, tmp_path: Path) -> None:
    registry, said = seen_from(tmp_path / "here", url), []

    def stop(_epoch: object) -> None:
        raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        learn(registry, tmp_path, likes=8, listen=stop)
    assert registry.versions() == []
    registry = seen_from(tmp_path / "here", url)  # another process
    done = learn(registry, tmp_path, likes=8, tell=said.append)
    assert said == ["going on with an interrupted run"]
    assert registry.versions() == [done.version]
    assert not list((tmp_path / "here").rglob("steps"))


def test_only_one_works_at_a_time_and_one_that_lost_its_lock_publishes_nothing(
    url: str, tmp_path: Path
) -> None:
    registry, refused = seen_from(tmp_path / "here", url), []

    def meanwhile(_epoch: object) -> None:
        if not refused:
            with pytest.raises(LockedError, match=f"{url}: another retraining is at work") as caught:
                learn(seen_from(tmp_path / "there", url), tmp_path, likes=10)
            refused.append(caught.value)
            registry.write(
                "locks/retraining-000002", b"{}"
            )  # another one took over, as after a minute's silence

    with pytest.raises(LockedError, match="another one took over"):
        learn(registry, tmp_path, likes=8, listen=meanwhile)
    assert refused
    assert registry.versions() == []
