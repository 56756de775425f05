"""The machine's clock goes back by a month: what the service took before and after counts, in every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from cml.registry import Registry
from tests.cml.test_retrain_command import QUICK, two_groups
from tests.end_to_end.servers import Server, server
from tests.service.conftest import ids

pytestmark = pytest.mark.slow

MONTH = 30 * 86_400.0  # seconds
# Python imports this module at the start of every process that finds it.
TURNED_BACK = """
import os, time
_real, _back = time.time, float(os.environ["SECONDS_BACK"])
time.time = lambda: _real() - _back
"""


def turned_back(folder: Path) -> dict[str, str]:
    """The environment of a process whose clock is a month slow."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TURNED_BACK)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "SECONDS_BACK": str(MONTH)}


def document(environment: dict[str, str], *arguments: object) -> Any:
    command = [sys.executable, "-m", "cml", *map(str, arguments), "--json"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def show_and_like(running: Server, user: str) -> tuple[str, str]:
    """A list of the experiment for this user, who likes its first item: (variant, item)."""
    shown = running.get(f"/v1/users/{user}/recommendations").json()
    item = shown["items"][0]["item_id"]
    event = {
        "user_id": user,
        "item_id": item,
        "type": "like",
        "recommendation_id": shown["recommendation_id"],
    }
    taken = httpx.post(running.url + "/v1/events", json={"events": [event]}, timeout=30)
    assert taken.json()["accepted"] == 1
    return shown["variant"], item


def test_nothing_is_lost_or_overtaken_when_the_clock_goes_back(tmp_path: Path) -> None:
    models, files = tmp_path / "models", two_groups(tmp_path / "data.csv", likes=8)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    retrain = ["retrain", "--train", files, "--models", models]
    first = document({}, *retrain, *settings)["version"]
    second = document({}, *retrain, "--force", "--cold", "--seed", "1", *settings)["version"]
    events = f"sqlite:///{models / 'events.db'}"
    liked: dict[str, list[str]] = {"control": [], "candidate": []}
    news: dict[str, str] = {}
    slow = turned_back(tmp_path / "clock")
    for environment, users in (({}, range(0, 30)), (slow, range(30, 60))):
        with server(models, **environment) as running:
            asked = {"name": "turn", "candidate": first, "share": 0.5}
            assert httpx.put(running.url + "/v1/admin/experiment", json=asked, timeout=30).status_code == 200
            for user in users:
                variant, news[f"u{user}"] = show_and_like(running, f"u{user}")
                liked[variant].append(f"u{user}")
                assert news[f"u{user}"] not in ids(running.get(f"/v1/users/u{user}/recommendations"))
    assert min(map(len, liked.values())) > 10
    for environment in ({}, slow):
        found = document(environment, "ab", "report", "turn", "--events", events)["variants"]
        assert {name: (one["users"], one["acted"]) for name, one in found.items()} == {
            name: (len(users), len(users)) for name, users in liked.items()
        }

    with server(models, CML_SERVICE_POLL_SECONDS="0.05", **slow) as running:
        httpx.delete(running.url + "/v1/admin/experiment", timeout=30)
        third = document(slow, *retrain, "--gate", "1")
        assert (third["before"], third["data"]["events"], third["data"]["new"]) == (second, 60, 60)
        while running.get("/v1/model").json()["version"] != third["version"]:
            assert running.process.poll() is None
        for user, item in news.items():
            assert item in running.get(f"/v1/users/{user}").json()["trained_on"]
            assert item not in ids(running.get(f"/v1/users/{user}/recommendations"))
        for order in ("popular", "trending", "recent"):
            assert len(ids(running.get(f"/v1/lists/{order}"))) > 10
    assert Registry(models).versions() == [first, second, third["version"]]
    assert Registry(models).previous() == second
    rounds = document(slow, "history", "--models", models)["rounds"]
    assert [row["outcome"] for row in rounds] == ["published"] * 3
    assert rounds[2]["at"] < rounds[1]["at"]
