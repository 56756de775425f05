"""The service killed while versions come and go."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from pathlib import Path

import pytest

from cml.registry import Registry
from tests.end_to_end.servers import server
from tests.service.worlds import content, publish

pytestmark = pytest.mark.slow


def test_a_service_killed_while_it_swaps_comes_back_with_a_whole_version(tmp_path: Path) -> None:
    models = tmp_path / "models"
    versions = [publish(models), publish(models, content(flip=True))]
    lists: dict[str, set[str]] = {}
    asked: list[str] = []  # which version each answer was of
    for round_ in range(4):
        with server(models, CML_SERVICE_POLL_SECONDS="0.005") as running:
            done = threading.Event()

            def keep_moving(done: threading.Event = done) -> None:
                registry = Registry(models)
                for version in cycle(versions):
                    registry.set_current(version)
                    if done.is_set():
                        return

            def keep_asking(port: int = running.port) -> None:
                connection = HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    while True:
                        connection.request("GET", "/v1/users/ann/recommendations")
                        found = json.loads(connection.getresponse().read())
                        listed = " ".join(item["item_id"] for item in found["items"])
                        lists.setdefault(found["model_version"], set()).add(listed)
                        asked.append(found["model_version"])
                except (OSError, HTTPException, ValueError):
                    return

            threads = [threading.Thread(target=keep_moving), threading.Thread(target=keep_asking)]
            for thread in threads:
                thread.start()
            until, goal = time.monotonic() + 60, len(asked) + 20 + 7 * round_
            while len(asked) < goal or set(lists) != set(versions):
                assert time.monotonic() < until
                time.sleep(0.001)
            running.process.kill()
            done.set()
            for thread in threads:
                thread.join(20)
        for version in versions:
            Registry(models).verify(version)
    with server(models) as running:
        answer = running.get("/v1/users/ann/recommendations").json()
        assert answer["model_version"] == Registry(models).current()
    assert all(len(one) == 1 for one in lists.values())  # no answer mixes two versions
