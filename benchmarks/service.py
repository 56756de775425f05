"""How fast the service answers, as ratios to a bare Starlette JSON hello in the same minute.

    python -m benchmarks.service --out benchmarks/results/service.json [--items 26000] [--seconds 3]

Both servers run one worker each; one client drives them in turn. Beside requests a second stands the server's
own processor time a request, which depends less on what else the machine does. Needs wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.serving import load
from benchmarks.serving.load import Sample, Server
from benchmarks.serving.world import publish

HELLO = "hello"
CONCURRENCIES = (1, 16, 64)
_ASKED = 2000  # different requests a case
_WARM_SECONDS = 2

Request = tuple[str, str, str]  # method, path, body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of the client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="*", default=sorted(cases(1, 1, 0)), choices=sorted(cases(1, 1, 0)))
    parser.add_argument("--models", type=Path, help="a registry made by an earlier run with the same numbers")
    given = parser.parse_args()
    asked = {
        name: some
        for name, some in cases(given.users, given.items, given.seed).items()
        if name in given.cases
    }
    with tempfile.TemporaryDirectory() as directory:
        results = measure(given, asked, Path(directory))
    report = {
        "command": " ".join(["python -m benchmarks.service", *sys.argv[1:]]),
        **machine(),
        "results": results,
    }
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(table(results))


def cases(n_users: int, n_items: int, seed: int) -> dict[str, list[Request]]:
    """The requests of each case, by name."""
    rng = np.random.default_rng(seed)
    users = rng.integers(n_users // 2, n_users, _ASKED)
    return {
        "known user": [("GET", f"/v1/users/user-{user}/recommendations", "") for user in users],
        "known user, k=10": [("GET", f"/v1/users/user-{user}/recommendations?k=10", "") for user in users],
        "fresh events": [
            ("GET", f"/v1/users/user-{user}/recommendations?k=10", "") for user in range(with_events(n_users))
        ],
        "session": [("POST", "/v1/recommendations", _session(n_items, rng)) for _ in range(_ASKED)],
        "filter": [
            ("GET", f"/v1/users/user-{user}/recommendations?k=10&where={quote(where)}", "")
            for user, where in zip(users, _filters(rng), strict=False)
        ],
    }


def with_events(n_users: int) -> int:
    """The first so many users get events before the measurement."""
    return min(500, n_users)


def measure(
    given: argparse.Namespace, asked: dict[str, list[Request]], directory: Path
) -> list[dict[str, Any]]:
    """Each case beside hello, at each concurrency: the medians of the rounds."""
    models = given.models or directory / "models"
    if not models.is_dir():
        models.mkdir(parents=True)
        publish(models, given.items, given.users, given.seed)
    with ExitStack() as stack:
        hello = stack.enter_context(_hello(directory))
        service, key = stack.enter_context(serving(models, directory))
        _send_events(service, key, given, directory)
        runs = {HELLO: (hello, load.script(directory, HELLO, [("GET", "/", "")]))}
        for number, (name, requests) in enumerate(asked.items()):
            runs[name] = service, load.script(directory, f"case-{number}", requests, key)
        for server, script in runs.values():
            load.drive(server, script, 16, _WARM_SECONDS)
        return [row for concurrency in CONCURRENCIES for row in _rows(runs, concurrency, given)]


def _rows(
    runs: dict[str, tuple[Server, Path]], concurrency: int, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, (server, script) in runs.items():
            samples[name].append(load.drive(server, script, concurrency, given.seconds))
    for name, seen in samples.items():
        ratios = [one.per_second / bare.per_second for one, bare in zip(seen, samples[HELLO], strict=True)]
        cpu_ratios = [bare.cpu_us / one.cpu_us for one, bare in zip(seen, samples[HELLO], strict=True)]
        yield {
            "case": name,
            "concurrency": concurrency,
            "requests_per_second": round(median(one.per_second for one in seen)),
            "of_hello": round(median(ratios), 3),
            "cpu_us": round(median(one.cpu_us for one in seen), 1),
            "cpu_of_hello": round(median(cpu_ratios), 3),
            "p50_ms": median(one.p50_ms for one in seen),
            "p99_ms": median(one.p99_ms for one in seen),
            "failed": sum(one.failed for one in seen),
        }


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    columns = ("case", "concurrency", "requests_per_second", "of_hello", "cpu_us", "p50_ms", "p99_ms")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(str(row[name]) for name in columns) + " |" for row in results]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Where and when."""
    return {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "load_at_end": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "machine": _processor(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


@contextmanager
def _hello(directory: Path) -> Iterator[Server]:
    port = load.free_port()
    command = [sys.executable, "-m", "benchmarks.serving.hello", str(port)]
    with load.running(command, port, "/", directory / "hello.log") as server:
        yield server


@contextmanager
def serving(models: Path, directory: Path, *more: str) -> Iterator[tuple[Server, str]]:
    """The service as it is by default, with keys (and more flags); and a key."""
    port, keys = load.free_port(), directory / "keys.json"
    scopes = ["--scope", "read", "--scope", "write"]
    make_key = [sys.executable, "-m", "service.keys", "add", "bench", *scopes, "--file", str(keys)]
    key = subprocess.run(make_key, check=True, capture_output=True, text=True).stdout.strip()
    events = f"sqlite:///{directory / 'events.db'}"
    flags = ["--models", str(models), "--port", str(port), "--keys", str(keys), "--events", events, *more]
    command = [sys.executable, "-m", "service", *flags]
    with load.running(command, port, "/readyz", directory / "service.log") as server:
        yield server, key


def _send_events(service: Server, key: str, given: argparse.Namespace, directory: Path) -> None:
    """Three likes for each of the first users, so that their lists are made live."""
    rng = np.random.default_rng(given.seed + 1)
    events = [
        {"user_id": f"user-{user}", "item_id": f"item-{item}", "type": "like"}
        for user in range(with_events(given.users))
        for item in rng.integers(0, given.items, 3)
    ]
    for begin in range(0, len(events), 1000):
        request = urllib.request.Request(
            f"http://127.0.0.1:{service.port}/v1/events",
            json.dumps({"events": events[begin : begin + 1000]}).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).read()


def _session(n_items: int, rng: np.random.Generator) -> str:
    liked = [{"item_id": f"item-{item}"} for item in rng.integers(0, n_items, 10)]
    return json.dumps({"liked": liked, "k": 10})


def _filters(rng: np.random.Generator) -> Iterator[str]:
    while True:
        year = int(rng.integers(1950, 2015))
        yield json.dumps({"genres": {"any": ["Drama", "Crime"]}, "year": {"min": year, "max": year + 9}})


if __name__ == "__main__":
    main()
