"""A real S3-compatible server (moto's) on a free port, and a proxy in front of it that fails when told to."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

START_SECONDS = 60


def settings(endpoint: str) -> dict[str, str]:
    """The environment from which the S3 driver finds the server; a failed request is not tried for minutes."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an empty server."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()


def make_bucket(endpoint: str, name: str) -> None:
    urlopen(Request(f"{endpoint}/{name}", method="PUT"), timeout=10).close()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()  # or its pipe fills up
            _wait_for(found[1])
            return found[1]
    raise AssertionError("".join(said))


def _wait_for(address: str) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            urlopen(f"{address}/moto-api/", timeout=5).close()
            return
        except URLError:
            assert time.monotonic() < give_up, f"no answer from {address}"
            time.sleep(0.05)


@dataclass
class Proxy:
    """Hands requests on to a server. Those that match `failing` (method and path) fail after the first `healthy`."""

    server: str
    endpoint: str = ""
    failing: str | None = None
    healthy: int = 0
    how: str = "500"  # or "close", "silence"
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, pattern: str, *, healthy: int = 0, how: str = "500") -> None:
        with self.lock:
            self.failing, self.healthy, self.how = pattern, healthy, how
            self.seen.clear()

    def recover(self) -> None:
        with self.lock:
            self.failing = None

    def refuses(self, request: str) -> bool:
        with self.lock:
            self.seen.append(request)
            if self.failing is None or not re.match(self.failing, request):
                return False
            self.healthy -= 1
            return self.healthy < 0


@contextmanager
def failing_proxy(server: str) -> Iterator[Proxy]:
    proxy = Proxy(server)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if proxy.refuses(f"{self.command} {self.path}"):
                self.fail()
                return
            there = HTTPConnection(proxy.server.removeprefix("http://"), timeout=30)
            there.request(self.command, self.path, body, dict(self.headers))
            answer = there.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("content-length") if self.command == "HEAD" else len(content)
            self.send_header("content-length", str(length or 0))
            self.end_headers()
            self.wfile.write(content)
            there.close()

        def fail(self) -> None:
            if proxy.how == "silence":
                time.sleep(5)
            if proxy.how == "500":
                self.send_error(500, "Out of order")
            self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server_here:
        server_here.daemon_threads = True
        proxy.endpoint = f"http://127.0.0.1:{server_here.server_address[1]}"
        threading.Thread(target=server_here.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            server_here.shutdown()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address
