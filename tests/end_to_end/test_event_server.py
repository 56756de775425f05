"""Several replicas over one PostgreSQL server, which crashes under load."""

from __future__ import annotations

import threading

import httpx
import pytest

from cml.events.store import EventStore
from tests.end_to_end.servers import Server, server
from tests.service.worlds import publish

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def like(user_id: str, item_id: str, event_id: str) -> dict:
    return {"user_id": user_id, "item_id": item_id, "type": "like", "event_id": event_id}


def keep_sending(to: Server, name: str, acknowledged: list[str], done: threading.Event) -> None:
    """Each event until it is acknowledged, under the same id; anything but 200 and 503 ends it."""
    number = 0
    with httpx.Client(base_url=to.url, timeout=30) as client:
        while not done.is_set():
            event_id = f"{name}-{number}"
            answer = client.post("/v1/events", json={"events": [like(name, "i7", event_id)]})
            if answer.status_code == 200:
                acknowledged.append(event_id)
                number += 1
            else:
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1


def keep_asking(to: Server, statuses: list[int], done: threading.Event) -> None:
    with httpx.Client(base_url=to.url, timeout=30) as client:
        while not done.is_set():
            statuses.append(client.get("/v1/users/ann/recommendations").status_code)


def test_the_next_answer_of_another_replica_counts_an_event(tmp_path, postgres_url):
    publish(tmp_path / "models")
    with (
        server(tmp_path / "models", CML_SERVICE_EVENTS=postgres_url) as one,
        server(tmp_path / "models", CML_SERVICE_EVENTS=postgres_url) as other,
    ):
        for number in range(12):
            to, then = (one, other) if number % 2 else (other, one)
            event = like(f"user {number}", "i7", f"e{number}")
            assert httpx.post(to.url + "/v1/events", json={"events": [event]}).json()["accepted"] == 1
            answer = then.get(f"/v1/users/user%20{number}/recommendations").json()
            assert answer["strategy"] == "session"


def test_a_server_that_crashes_under_load_loses_nothing_acknowledged_and_answers_go_on(
    tmp_path, own_postgres
):
    publish(tmp_path / "models")
    url = own_postgres.url("postgres")
    acknowledged: list[str] = []
    statuses: list[int] = []
    done = threading.Event()
    environment = {"CML_SERVICE_EVENTS": url, "CML_SERVICE_POLL_SECONDS": "0.1"}
    with (
        server(tmp_path / "models", **environment) as one,
        server(tmp_path / "models", **environment) as other,
    ):
        replicas = (one, other)
        threads = [
            threading.Thread(target=keep_sending, args=(replica, f"u{number}", acknowledged, done))
            for number, replica in enumerate(replicas * 2)
        ]
        threads += [
            threading.Thread(target=keep_asking, args=(replica, statuses, done)) for replica in replicas
        ]
        for thread in threads:
            thread.start()
        for round_ in range(3):
            goal = len(acknowledged) + 40
            while len(acknowledged) < goal:
                assert all(thread.is_alive() for thread in threads)
            own_postgres.stop()
            asked = len(statuses) + 20
            while len(statuses) < asked:  # answers go on while it is gone
                assert all(thread.is_alive() for thread in threads), round_
            own_postgres.start()
        goal = len(acknowledged) + 40
        while len(acknowledged) < goal:
            assert all(thread.is_alive() for thread in threads)
        done.set()
        for thread in threads:
            thread.join(30)
    assert set(statuses) == {200}
    store = EventStore(url)
    stored = [event.event_id for event in store.events_after(0, 1_000_000)]
    store.close()
    assert len(acknowledged) >= 160
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
