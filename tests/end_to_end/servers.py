"""Real servers on free ports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx


@dataclass
class Server:
    """A running `python -m service`."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, **options) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def wait_for_starts(self, number: int, seconds: float = 90) -> None:
        """Wait until so many workers, replaced ones included, have said that they are ready."""
        time_limit = time.monotonic() + seconds
        while sum("startup complete" in line for line in self.log) < number:
            assert time.monotonic() < time_limit, "".join(self.log)
            time.sleep(0.05)


@contextmanager
def server(
    models: Path, *arguments: str, program: Sequence[str] = ("service",), **environment: str
) -> Iterator[Server]:
    """Starts a service on a free port and waits until it is ready; kills what is left of it afterwards."""
    command = [sys.executable, "-m", *program, "--models", str(models), "--port", "0", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    running = Server(process)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            running.log.append(line)
            if found := re.search(r"on (http://\S+)", line):
                running.url = found.group(1)
            if "startup complete" in line:
                break
        assert running.url, "".join(running.log)
        threading.Thread(target=lambda: running.log.extend(process.stderr or ()), daemon=True).start()
        yield running
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
