"""A service whose events are on a database server: the server goes and comes back, answers go on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from cml.events import lookout
from tests.service.conftest import ids, refused
from tests.service.test_events import like, recommended, send

pytestmark = pytest.mark.postgres


def store_fails(client) -> bool:
    return "event store" in client.get("/readyz").text


def test_while_the_server_is_gone_events_are_refused_and_lists_answered_from_what_is_known(
    serve, own_postgres
):
    client, other = (serve(events=own_postgres.url("postgres")) for _ in range(2))
    send(client, like("new", "i7", event_id="before"))
    client.delete("/v1/users/bob")
    known = ids(recommended(client, "new", k=2))
    own_postgres.stop()
    answer = send(client, like("new", "i6", event_id="during"))
    assert "not acknowledged" in refused(answer, 503, "events-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    refused(client.delete("/v1/users/ann"), 503, "events-unavailable")
    for _ in range(3):
        assert ids(recommended(client, "new", k=2)) == known
        assert recommended(client, "bob").json()["strategy"] == "popular"  # still erased
        assert recommended(client, "stranger").json()["strategy"] == "popular"
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert store_fails(client)
    own_postgres.start()
    assert send(client, like("new", "i6", event_id="during")).json()["accepted"] == 1
    for one in (client, other):
        one.post("/v1/admin/reload")  # or a moment later by itself
        assert not store_fails(one)
        assert "i6" not in ids(recommended(one, "new"))
    send(other, like("new", "i5"))
    assert "i5" not in ids(recommended(client, "new"))


def test_a_server_that_hangs_holds_up_one_answer_and_no_other(serve, own_postgres, monkeypatch):
    monkeypatch.setattr(lookout, "PATIENCE", 0.5)
    client = serve(events=own_postgres.url("postgres"))
    send(client, like("new", "i7"))
    known = ids(recommended(client, "new", k=2))
    processes = own_postgres.processes()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        assert ids(recommended(client, "new", k=2)) == known
        began = time.monotonic()
        for _ in range(20):
            assert ids(recommended(client, "new", k=2)) == known
        assert time.monotonic() - began < 0.5
        assert "not answered" in client.get("/readyz").text
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    client.post("/v1/admin/reload")
    assert not store_fails(client)
    send(client, like("new", "i6"))
    assert "i6" not in ids(recommended(client, "new"))


def test_started_before_its_server_the_service_waits_because_it_cannot_know_who_was_erased(
    serve, own_postgres
):
    serve(events=own_postgres.url("postgres")).delete("/v1/users/ann")
    own_postgres.stop()
    client = serve(events=own_postgres.url("postgres"))
    assert client.get("/livez").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "event store" in ready.text
    refused(recommended(client, "ann"), 503, "not-ready")
    refused(send(client, like("new", "i7")), 503, "events-unavailable")
    own_postgres.start()
    client.post("/v1/admin/reload")
    assert client.get("/readyz").status_code == 200
    assert recommended(client, "ann").json()["strategy"] == "popular"
    assert send(client, like("new", "i7")).json()["accepted"] == 1
