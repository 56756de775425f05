"""The service as a process: light to start, whole under signals, one view across workers, patient with nobody."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.end_to_end.servers import server
from tests.service.worlds import publish

HEAVY = ("torch", "pandas", "scipy", "sklearn", "pyarrow")


def ask(port: int, method: str, path: str, body: object = None) -> tuple[str, dict]:
    """One request on a connection of its own, which any worker may get: (that worker's name, the answer)."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    worker = response.headers["x-request-id"].partition("-")[0]
    document = json.loads(response.read())
    connection.close()
    return worker, document


@pytest.fixture
def models(tmp_path):
    publish(tmp_path / "models")
    return tmp_path / "models"


def test_the_service_starts_without_the_training_libraries(models):
    code = f"""
import sys
from pathlib import Path
from starlette.testclient import TestClient
from service.app import create_app
from service.settings import Settings
with TestClient(create_app(Settings(models=Path({str(models)!r}), access_log=False))) as client:
    assert client.get("/v1/users/ann/recommendations").status_code == 200
    assert client.post("/v1/recommendations", json={{"liked": [{{"item_id": "i7"}}]}}).status_code == 200
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_server_answers_drains_on_sigterm_and_ends_cleanly(models):
    with server(models, CML_SERVICE_DRAIN_SECONDS="1") as running:
        assert running.get("/v1/users/ann/recommendations").json()["strategy"] == "personal"
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while running.get("/readyz").status_code == 200:
            assert time.monotonic() - began < 1
        assert running.get("/v1/users/ann/recommendations").status_code == 200  # still answering
        assert running.process.wait(15) in (0, -signal.SIGTERM)
        assert time.monotonic() - began >= 0.9


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_sigterm_while_it_starts_is_not_lost(models):
    """As the first process of a container, for which a signal without a handler is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what the child begins with
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "--models", str(models), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not _handles(process.pid, signal.SIGTERM):
        time.sleep(0.001)
    process.terminate()
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "server process" not in said, "it had a handler only when it was up"


def _handles(pid: int, number: signal.Signals) -> bool:
    mask = re.search(r"^SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert mask is not None
    return bool(int(mask[1], 16) >> (number - 1) & 1)


@pytest.mark.slow
def test_an_event_taken_by_one_worker_counts_in_the_next_answer_of_any(models):
    with server(models, "--workers", "2") as running:
        workers = set()
        for number in range(40):
            event = {"user_id": f"new-{number}", "item_id": "i7", "type": "like"}
            taken, receipt = ask(running.port, "POST", "/v1/events", {"events": [event]})
            assert receipt["accepted"] == 1
            answering, answer = ask(running.port, "GET", f"/v1/users/new-{number}/recommendations?k=1")
            assert answer["strategy"] == "session"
            workers.add((taken, answering))
        assert len({name for pair in workers for name in pair}) == 2, "both workers must have taken part"
        assert any(one != other for one, other in workers), "an event and its answer by different workers"


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_counts_go_on(models):
    import psutil

    with server(models, "--workers", "2") as running:
        children = psutil.Process(running.process.pid).children()
        assert len(children) == 2
        running.wait_for_starts(2)
        time.sleep(1.5)  # past the age at which the death of a worker stops all
        children[0].kill()
        running.wait_for_starts(3)
        assert running.get("/v1/users/ann/recommendations").status_code == 200
        assert "cml_requests_total" in running.get("/metrics").text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_share_what_is_imported(models):
    """Each began anew before, and had the interpreter and all libraries for itself."""
    import psutil

    def private(pid):
        return psutil.Process(pid).memory_full_info().uss

    with server(models) as alone:
        whole = private(alone.process.pid)
    with server(models, "--workers", "2") as running:
        running.wait_for_starts(2)
        workers = [private(child.pid) for child in psutil.Process(running.process.pid).children()]
    assert len(workers) == 2
    assert max(workers) < 0.65 * whole


def test_a_head_that_never_ends_is_cut_off_and_costs_others_nothing(models):
    with server(models, CML_SERVICE_HEADER_TIMEOUT="0.5", CML_SERVICE_BODY_TIMEOUT="0.5") as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as half:
            half.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n")
            assert running.get("/livez").status_code == 200
            assert half.recv(100) == b""  # closed by the server
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as half:
            half.sendall(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert half.recv(1000).startswith(b"HTTP/1.1 408")
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as noise:
            noise.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            assert noise.recv(1000).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("piece", [b"a" * (1 << 16), b"a: %s\r\n" % (b"b" * 1000) * 64])
def test_a_head_of_endless_length_is_no_longer_read(models, piece):
    with server(models, CML_SERVICE_HEADER_TIMEOUT="60") as running:
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as endless,
            pytest.raises(OSError, match=r"reset|pipe"),
        ):
            endless.sendall(b"GET /livez HTTP/1.1\r\nx: " + 1000 * piece)
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as long:
            for part in (
                b"GET /livez HTTP/1.1\r\nhost: x\r\n",
                *[b"a: %s\r\n" % (b"b" * 5000)] * 10,
                b"\r\n",
            ):
                long.sendall(part)
            assert long.recv(1000).startswith(b"HTTP/1.1 200")
            two = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
            long.sendall(2000 * two + two[:-10])  # a long read with many whole heads and a part of one
            long.sendall(two[-10:])
            answers = b""
            while answers.count(b"HTTP/1.1 200") < 2001:
                answers += long.recv(1 << 20)
            assert b"HTTP/1.1 400" not in answers


def test_a_body_without_end_is_answered_and_then_no_longer_read(models):
    block = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with (
        server(models) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as endless,
    ):
        endless.sendall(b"POST /v1/recommendations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        endless.sendall(4 * block)
        assert endless.recv(1000).startswith(b"HTTP/1.1 413")
        with pytest.raises(OSError, match=r"reset|pipe"):
            endless.sendall(200 * block)
        assert running.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--models", "/no/such/directory"], "does not exist"),
        (["--host", "0.0.0.0"], "--allow-without-keys"),
        (["--port", "99999"], "port"),
        (["--keys", "/no/such/keys.json"], "keys.json"),
    ],
)
def test_a_start_that_cannot_succeed_says_why_in_one_line(models, arguments, complaint):
    command = [sys.executable, "-m", "service", "--models", str(models), "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told(models):
    with server(models) as running:
        command = [sys.executable, "-m", "service", "--models", str(models), "--port", str(running.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "choose another --port" in done.stderr
