"""The service as a subprocess, and a question to it over HTTP: what the demo needs of the network."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from cml.errors import CmlError

START_SECONDS = 60
STOP_SECONDS = 10


@contextmanager
def running_service(models: Path, port: int | None) -> Iterator[str]:
    """Start the service on the loopback address, yield its URL when it is ready, stop it at the end."""
    port = port or _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "service",
        "--models",
        str(models),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_until_ready(process, address)
            yield address
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(address: str, user_id: str, k: int) -> dict[str, Any]:
    """A user's recommendations with reasons, as the service answers them."""
    with urlopen(
        f"{address}/v1/users/{quote(user_id, safe='')}/recommendations?k={k}&explain=2", timeout=10
    ) as answer:
        return json.load(answer)


def _wait_until_ready(process: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read().strip() if process.stderr else ""
            raise CmlError(f"the service ended with code {process.returncode} instead of starting: {said}")
        try:
            with urlopen(f"{address}/readyz", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.05)
    raise CmlError(f"the service at {address} was not ready within {START_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
