"""Servers as processes of their own, and wrk as the client of all of them.

wrk (`apt-get install wrk`) needs a few microseconds a request, so that it measures the server, not itself.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 120.0  # seconds for a server to become ready


@dataclass(frozen=True)
class Server:
    """A running server process with one worker."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Processor time that the process has used so far, in user and system mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True)
class Sample:
    """What one run of the client saw."""

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time a request."""
        return self.cpu_seconds / max(self.requests, 1) * 1e6


@contextmanager
def running(
    command: Sequence[str], port: int, ready: str, log: Path, *, any_answer: bool = False
) -> Iterator[Server]:
    """Starts a server, waits until the path `ready` answers 200 (or anything), and ends it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _await(f"http://127.0.0.1:{port}{ready}", process, log, any_answer)
            yield Server(process.pid, port)
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def drive(server: Server, script: Path, concurrency: int, seconds: int) -> Sample:
    """Ask as fast as the answers come, on this many connections; `script` (Lua) makes the requests."""
    command = [_wrk(), "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", str(script)]
    before = server.cpu_seconds()
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}"], check=True, capture_output=True, text=True
    )
    used = server.cpu_seconds() - before
    found = re.search(r"^SAMPLE (\S+) (\S+) (\S+) (\S+) (\S+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    requests, microseconds, p50, p99, failed = (float(text) for text in found.groups())
    return Sample(int(requests), microseconds / 1e6, used, p50 / 1e3, p99 / 1e3, int(failed))


def script(directory: Path, name: str, requests: Sequence[tuple[str, str, str]], key: str = "") -> Path:
    """A Lua script that asks these requests (method, path, body) in turn, and its path."""
    headers = f'["Authorization"] = "Bearer {key}", ' if key else ""
    listed = ",\n".join(
        f"  {{[==[{method}]==], [==[{path}]==], [==[{body}]==]}}" for method, path, body in requests
    )
    path = directory / f"{name}.lua"
    path.write_text(_LUA.replace("HEADERS", headers).replace("REQUESTS", listed))
    return path


_LUA = """local asked = {
REQUESTS
}
local ready, at = {}, 0
function init()
  local headers = {HEADERS["Content-Type"] = "application/json"}
  for i, one in ipairs(asked) do
    ready[i] = wrk.format(one[1], one[2], headers, one[3] ~= "" and one[3] or nil)
  end
end
function request()
  at = at % #ready + 1
  return ready[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("SAMPLE %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")
    return found


def _await(url: str, process: subprocess.Popen[bytes], log: Path, any_answer: bool) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with code {process.returncode}: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError as error:  # refused, broken off, or accepted by a supervisor whose workers still start
            if any_answer and isinstance(error, urllib.error.HTTPError):
                return
            time.sleep(0.05)
    raise SystemExit(f"{url} was not ready within {_PATIENCE:g} s: {log.read_text()[-2000:]}")
