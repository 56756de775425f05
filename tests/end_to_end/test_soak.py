"""Traffic, events, retraining and swaps for minutes: no request fails, memory stays flat, no event is lost."""

from __future__ import annotations

import itertools
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cml.artifact import Artifact
from cml.registry import Registry
from tests.cml.test_retrain_command import QUICK, two_groups
from tests.end_to_end.commands import document
from tests.end_to_end.servers import Server, server

SECONDS = float(os.environ.get("CML_SOAK_SECONDS", "60"))
ROUNDS = 2
GROWTH = 1.10  # of the private memory of all workers, between the end of the warm-up and the end
PAUSE = 0.01  # seconds between a client's requests, so that the retraining gets its share of the cores


@dataclass
class Traffic:
    """What clients sent and got."""

    url: str
    answered: int = 0
    acknowledged: dict[str, set[str]] = field(default_factory=dict)  # by user: the items of likes
    failures: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, client: int) -> None:
        """Lists of known users, of users who are only in the events, and of nobody."""
        for user in itertools.cycle([f"u{client}", f"fresh {client}", f"u{client + 40}", "nobody"]):
            answer = self._send("GET", f"/v1/users/{user}/recommendations?k=10")
            if answer is not None:
                with self._lock:
                    self.versions.add(answer["model_version"])
            if self.done.wait(PAUSE):
                return

    def like(self, client: int) -> None:
        """Users who like items one by one, each event with an id of its own."""
        for number in itertools.count():
            user, item = f"fresh {(client + 7 * number) % 40}", f"i{(13 * number + client) % 40}"
            event = {"event_id": f"{client}-{number}", "user_id": user, "item_id": item, "type": "like"}
            answer = self._send("POST", "/v1/events", json={"events": [event]})
            if answer is not None and answer["accepted"] == 1:
                with self._lock:
                    self.acknowledged.setdefault(user, set()).add(item)
            if self.done.wait(PAUSE):
                return

    def sent(self) -> dict[str, set[str]]:
        """What is acknowledged by now."""
        with self._lock:
            return {user: set(items) for user, items in self.acknowledged.items()}

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        try:
            answer = self._client().request(method, path, **options)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        with self._lock:
            self.answered += 1
        return answer.json()

    def _client(self) -> httpx.Client:
        if not hasattr(_own, "client"):
            _own.client = httpx.Client(base_url=self.url, timeout=30)
        return _own.client


_own = threading.local()


def private_bytes(running: Server) -> int:
    """Memory that the workers share with nobody: mapped model files do not count, copies do."""
    workers = psutil.Process(running.process.pid).children()
    return sum(worker.memory_full_info().uss for worker in workers)


def seen_by(model: Artifact, user: str) -> set[str]:
    """The items that the model learned of for this user."""
    row = model.users.row(user)
    rows = model.seen_items[model.seen_indptr[row] : model.seen_indptr[row + 1]]
    return {model.items[int(item)] for item in rows}


@pytest.mark.slow
def test_traffic_events_two_retrainings_and_swaps_fail_nothing_and_leak_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, data = tmp_path / "models", two_groups(tmp_path / "base.csv", likes=10)
    settings = [argument for setting in QUICK for argument in ("--set", setting)]
    document("retrain", "--train", data, "--models", models, "--no-events", *settings)
    published = [Registry(models).require_current()]
    with server(models, "--workers", "2", CML_SERVICE_POLL_SECONDS="0.1") as running:
        running.wait_for_starts(2)
        traffic = Traffic(running.url)
        threads = [threading.Thread(target=traffic.ask, args=(client,)) for client in range(3)]
        threads += [threading.Thread(target=traffic.like, args=(client,)) for client in range(2)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        time.sleep(SECONDS / 4)
        memory = [private_bytes(running)]
        retrainings = []
        for round_ in range(ROUNDS):
            sent = traffic.sent()
            # That the groups' taste is gone from users who like anything is no concern here: no gate.
            said = document(
                "retrain", "--train", data, "--models", models, "--set", "publish.tolerance=1", "--force"
            )
            assert said["published"], said["reason"]
            published.append(said["version"])
            retrainings.append(said["seconds"])
            model = Registry(models).load(said["version"])
            for user, items in sent.items():
                assert items <= seen_by(model, user), user
            time.sleep(max(0.0, began + SECONDS * (2 + round_) / (ROUNDS + 2) - time.monotonic()))
            memory.append(private_bytes(running))
            Registry(models).set_current(published[-2])  # back and forth: a rollback is a swap as well
            time.sleep(1)
            Registry(models).set_current(published[-1])
        time.sleep(max(1.0, began + SECONDS - time.monotonic()))
        memory.append(private_bytes(running))
        traffic.done.set()
        for thread in threads:
            thread.join(60)
        alive = running.process.poll() is None
        replaced = [line for line in running.log if "starting another" in line]
    with capsys.disabled():
        mebibytes = ", ".join(f"{one / 2**20:.1f}" for one in memory)
        print(
            f"\nsoak: {time.monotonic() - began:.0f} s, {traffic.answered:,} requests, "
            f"{len(traffic.failures)} failed, {sum(map(len, traffic.sent().values())):,} pairs liked, "
            f"retrainings {retrainings} s, private memory of 2 workers {mebibytes} MiB"
        )
    assert traffic.failures == []
    assert alive
    assert not replaced
    assert traffic.versions == set(published)
    assert memory[-1] <= memory[0] * GROWTH
