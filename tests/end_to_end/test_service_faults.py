"""The service under fire: killed while it takes events, and given new versions while it answers."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection, HTTPException

import pytest

from cml.events.store import EventStore
from cml.registry import Registry
from tests.end_to_end.servers import server
from tests.service.worlds import content, publish


def keep_sending(port: int, client: int, acknowledged: list[str]) -> None:
    """Sends events until the server is gone; notes the ids that it acknowledged."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    number = 0
    try:
        while True:
            event_id = f"{port}-{client}-{number}"
            event = {"event_id": event_id, "user_id": f"u{client}", "item_id": "i7", "type": "like"}
            connection.request("POST", "/v1/events", json.dumps({"events": [event]}))
            response = connection.getresponse()
            if json.loads(response.read())["accepted"] == 1:
                acknowledged.append(event_id)
            number += 1
    except (OSError, HTTPException, ValueError):
        return


@pytest.mark.slow
def test_a_server_that_is_killed_loses_no_acknowledged_event_and_counts_none_twice(tmp_path):
    publish(tmp_path / "models")
    acknowledged: list[str] = []
    for round_ in range(3):
        with server(tmp_path / "models") as running:
            clients = [
                threading.Thread(target=keep_sending, args=(running.port, client, acknowledged))
                for client in range(4)
            ]
            goal = len(acknowledged) + 30 + 40 * round_
            for client in clients:
                client.start()
            while len(acknowledged) < goal:
                assert running.process.poll() is None
            running.process.kill()
            for client in clients:
                client.join(20)
    store = EventStore(f"sqlite:///{tmp_path / 'models' / 'events.db'}")
    stored = [event.event_id for event in store.events_after(0, 1_000_000)]
    store.close()
    assert len(acknowledged) > 150
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


@pytest.mark.slow
def test_new_versions_under_load_fail_no_request_and_each_answer_is_of_one_version(tmp_path):
    models = tmp_path / "models"
    first, second = publish(models), publish(models, content(flip=True))
    seen: dict[str, set[tuple[str, ...]]] = {}
    failures: list[object] = []
    done = threading.Event()

    def keep_asking(port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        while not done.is_set():
            connection.request("GET", "/v1/users/ann/recommendations")
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200:
                failures.append(answer)
                continue
            listed = tuple(item["item_id"] for item in answer["items"])
            seen.setdefault(answer["model_version"], set()).add(listed)

    with server(models, CML_SERVICE_POLL_SECONDS="0.02") as running:
        clients = [threading.Thread(target=keep_asking, args=(running.port,)) for _ in range(3)]
        for client in clients:
            client.start()
        registry = Registry(models)
        swaps = 0
        while swaps < 30:
            wanted = first if swaps % 2 else second
            registry.set_current(wanted)
            connection = HTTPConnection("127.0.0.1", running.port, timeout=10)
            answering = None
            while answering != wanted:
                connection.request("GET", "/v1/users/ann/recommendations?k=1")
                answering = json.loads(connection.getresponse().read())["model_version"]
            swaps += 1
        done.set()
        for client in clients:
            client.join(20)
    assert failures == []
    assert set(seen) == {first, second}
    assert all(len(lists) == 1 for lists in seen.values())
    assert seen[first] != seen[second]
