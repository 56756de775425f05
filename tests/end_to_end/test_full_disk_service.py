"""A running service whose disk runs full: it refuses what it cannot keep, answers on, and goes on with room."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cml.events.store import EventStore
from tests.end_to_end.commands import run
from tests.end_to_end.disks import Disk, Limit, mounted
from tests.end_to_end.servers import Server, server
from tests.service.conftest import ids, refused
from tests.service.worlds import publish

pytestmark = pytest.mark.slow

SIZE = 16 << 20
LIST = "/v1/users/ann/recommendations"
SAID = "not acknowledged, send it again with the same event ids: the event store cannot be written"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", SIZE) as found:
        if found is None:
            pytest.skip("mounting a small disk needs root; the same by a limit is tested beside this")
        yield found


def send(running: Server, *names: str) -> httpx.Response:
    events = [{"event_id": name, "user_id": "ann", "item_id": "i7", "type": "like"} for name in names]
    return httpx.post(running.url + "/v1/events", json={"events": events}, timeout=30)


def batch(number: int) -> tuple[str, ...]:
    return tuple(f"{number}-{place}" for place in range(200))


def stored(models: Path) -> list[str]:
    store = EventStore(f"sqlite:///{models / 'events.db'}")
    found = [event.event_id for event in store.events_after(0, 1_000_000)]
    store.close()
    return found


def survives(running: Server, models: Path, leave: Callable[[], None], clear: Callable[[], None]) -> None:
    """What a user sees before, while and after there is no room."""
    assert send(running, "before").json()["accepted"] == 1
    listed = ids(running.get(LIST))
    leave()
    answers = [send(running, *batch(0)) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {503}  # of 200 events none or all find room
    for answer in answers:
        assert SAID in refused(answer, 503, "events-unavailable")
        assert answer.headers["retry-after"] == "1"
    erased = httpx.delete(running.url + "/v1/users/bob", timeout=30)
    put = httpx.put(running.url + "/v1/items/new", json={"metadata": {"title": "New"}}, timeout=30)
    for answer in (erased, put):
        assert "check the disk" in refused(answer, 503, "events-unavailable")
    assert ids(running.get(LIST)) == listed
    assert running.get("/readyz").status_code == 200
    assert running.get("/metrics").status_code == 200
    assert [one["event_id"] for one in running.get("/v1/users/ann").json()["events"]] == ["before"]
    assert running.get("/v1/users/bob").status_code == 200
    assert running.get("/v1/items/new").status_code == 404
    clear()
    assert send(running, *batch(0)).json() == {"accepted": 200, "duplicates": 0, "unknown_items": []}
    assert httpx.delete(running.url + "/v1/users/bob", timeout=30).status_code == 200
    assert "i7" not in ids(running.get(LIST))
    assert stored(models) == ["before", *batch(0)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_on_a_full_disk_events_are_refused_whole_and_everything_else_goes_on(
    disk: Disk, workers: str
) -> None:
    models = disk.folder / "models"
    publish(models)
    # The directory for temporary files lies on the same disk, as on a machine with one disk.
    with server(models, "--workers", workers, TMPDIR=str(disk.folder)) as running:
        running.wait_for_starts(int(workers))
        survives(running, models, disk.leave, disk.clear)
        assert running.process.poll() is None
        assert not [line for line in running.log if "Traceback" in line or "ended with code" in line]


def test_a_limit_on_files_is_met_like_a_full_disk(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with server(tmp_path / "models") as running:
        limit = Limit(running.process.pid)
        survives(running, tmp_path / "models", limit.leave, limit.clear)


def test_events_that_fill_the_disk_are_kept_as_acknowledged_through_a_kill(disk: Disk) -> None:
    models = disk.folder / "models"
    publish(models)
    acknowledged: list[str] = []
    number = 0
    with server(models) as running:
        disk.leave(1 << 20)
        while (answer := send(running, *batch(number))).status_code == 200:
            acknowledged.extend(batch(number))
            number += 1
        assert SAID in refused(answer, 503, "events-unavailable")
        running.process.kill()
        running.process.wait()
    assert number > 3
    with server(models) as running:  # while there is still no room
        assert running.get("/readyz").status_code == 200
        assert "i7" not in ids(running.get(LIST))
        assert send(running, *batch(number)).status_code == 503
        disk.clear()
        assert send(running, *batch(number)).json()["accepted"] == 200
    assert stored(models) == [*acknowledged, *batch(number)]


def test_a_log_that_finds_no_room_costs_no_answer(disk: Disk, tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "service", "--models", str(tmp_path / "models"), "--port", str(port)]
    with (disk.folder / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ)
    running = Server(process, f"http://127.0.0.1:{port}")
    try:
        until = time.monotonic() + 60
        while "startup complete" not in (disk.folder / "log").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        disk.leave()
        with httpx.Client(
            base_url=running.url, timeout=30
        ) as client:  # one connection, which must not be lost
            statuses = [client.get(LIST).status_code for _ in range(2000)]
            statuses += [client.get("/nowhere").status_code for _ in range(2)]
            assert statuses == [200] * 2000 + [404] * 2
            assert client.post("/v1/events", json={"events": []}).status_code == 422
        disk.clear()
        time.sleep(0.3)  # a bunch of lines is written at most 0.1 s later
        assert running.get(LIST, headers={"x-request-id": "with-room-again"}).status_code == 200
        until = time.monotonic() + 20
        while "with-room-again" not in (disk.folder / "log").read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_that_finds_no_room_for_its_events_at_the_start_ends_and_says_so(
    disk: Disk, workers: str
) -> None:
    models = disk.folder / "models"
    publish(models)
    with server(models) as running:
        assert send(running, "before").json()["accepted"] == 1
    disk.leave()
    command = ["--models", models, "--port", "0", "--workers", workers]
    done = run(*command, program="service")
    assert done.returncode == 1
    assert f"({models / 'events.db'}), its disk has 0 bytes left" in done.stderr
    assert "Traceback" not in done.stderr
    disk.clear()
    assert stored(models) == ["before"]
