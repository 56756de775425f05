"""What hostile and broken clients cost the others.

    python -m benchmarks.hostile [--items 26000] [--seconds 4] [--rounds 3]

Four ordinary connections (wrk, known users, k = 10) ask one worker with API keys while one other client misbehaves as
fast as it can, in a process of its own. The yardstick is the same with a client instead that asks ordinary lists as
fast as it can. All run on one machine, so that client's own work slows the others down as well. It does not count in
the server's processor time for each of its attempts: what is used beyond the ordinary requests at their usual price.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import service
from benchmarks.records import birthplace, write_record
from benchmarks.serving import load
from benchmarks.serving.load import Sample, Server
from benchmarks.serving.world import publish

CONCURRENCY = 4
NOBODY = "nobody else"
ORDINARY = "an ordinary client"
_LIST = "/v1/recommendations"
_CLOSED = "closed"  # in place of a status: the server hung up without an answer
_HANGING = 200  # connections that a client with half a request opens
_MEBIBYTE = 1 << 20
_CHUNKED = "Transfer-Encoding: chunked"


def _request(key: str, path: str, body: bytes, *more: str, method: str = "POST") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {key}", *more]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def _ids(n: int) -> bytes:
    return json.dumps({"liked": [{"item_id": f"item-{number}"} for number in range(n)]}).encode()


# What is sent, again and again, each time on a connection of its own.
ATTACKS: dict[str, Callable[[str], bytes]] = {
    ORDINARY: lambda key: _request(key, "/v1/users/user-3000/recommendations?k=10", b"", method="GET"),
    "a body of 64 MiB": lambda key: _request(key, _LIST, b" " * (64 * _MEBIBYTE)),
    "64 MiB in chunks": lambda key: (
        f"POST {_LIST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{_CHUNKED}\r\n\r\n".encode()
        + 64 * (b"100000\r\n" + b" " * _MEBIBYTE + b"\r\n")
        + b"0\r\n\r\n"
    ),
    "a million ids": lambda key: _request(key, _LIST, _ids(1_000_000)),
    "ids up to the body's limit": lambda key: _request(key, _LIST, _ids(36_000)),
    "nested JSON": lambda key: _request(key, _LIST, b"[" * 500_000 + b"]" * 500_000),
    "nested objects": lambda key: _request(key, _LIST, b'{"liked":' * 110_000 + b"1" + b"}" * 10_000),
    "invalid UTF-8 in the body": lambda key: _request(key, _LIST, b'{"liked": [{"item_id": "\xff\xfe"}]}'),
    "invalid UTF-8 in the path": lambda key: _request(
        key, "/v1/users/%FF%FE/recommendations", b"", method="GET"
    ),
    "a body that is no JSON": lambda key: _request(key, _LIST, b"\x00" * 1000),
    "a wrong key": lambda _key: _request("wrong", "/v1/users/user-1/recommendations", b"", method="GET"),
    "not HTTP": lambda _key: b"\x16\x03\x01\x02\x00" * 100,
}
HALF = {
    f"half a head on {_HANGING} connections": lambda key: _request(key, _LIST, b"")[:40],
    f"half a body on {_HANGING} connections": lambda key: _request(key, _LIST, _ids(100))[:-900],
}


def main() -> None:
    given = _parser().parse_args()
    if given.attack:
        _misbehave(given.attack, given.port, given.key, given.seconds)
        return
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory) / "models"
        publish(models, given.items, given.users, given.seed)
        record = birthplace("benchmarks.hostile", sys.argv[1:], [])
        record["results"] = _measure(models, Path(directory), given)
    write_record("hostile", f"{given.items}-items", record)
    print(table(record["results"]))


def _measure(models: Path, directory: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    case = service.cases(given.users, given.items, given.seed)["known user, k=10"]
    with service.serving(models, directory) as (server, key):
        script = load.script(directory, "good", case, key)
        load.drive(server, script, CONCURRENCY, given.seconds)
        names = [NOBODY, *ATTACKS, *HALF]
        samples: dict[str, list[Sample]] = {name: [] for name in names}
        seen: dict[str, Counter[str]] = {name: Counter() for name in names}
        for _ in range(given.rounds):
            for name in names:
                with _attacking(name, server, key, given.seconds, seen[name]):
                    samples[name].append(load.drive(server, script, CONCURRENCY, given.seconds))
    usual = median(one.cpu_us for one in samples[NOBODY])
    return [_row(name, samples[name], seen[name], usual, given) for name in names]


def _row(
    name: str, samples: list[Sample], seen: Counter[str], usual_us: float, given: argparse.Namespace
) -> dict[str, Any]:
    attempts = (
        seen.total() / given.rounds * given.seconds / (given.seconds + 1)
    )  # while the others were measured
    extra = median(one.cpu_seconds - one.requests * usual_us / 1e6 for one in samples)
    return {
        "beside": name,
        "p50_ms": median(one.p50_ms for one in samples),
        "p99_ms": median(one.p99_ms for one in samples),
        "requests_per_second": round(median(one.per_second for one in samples)),
        "failed": sum(one.failed for one in samples),
        "attempts_per_second": round(attempts / given.seconds, 1),
        "cpu_ms_an_attempt": round(max(extra, 0.0) / attempts * 1e3, 2) if attempts else None,
        "answers": dict(sorted(seen.items())),
    }


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| beside | p50 / p99 ms | requests/s | its attempts/s | CPU ms an attempt | it got |",
        "|" + "---|" * 6,
    ]
    for row in results:
        got = ", ".join(row["answers"]) or "nothing"
        cells = (
            row["beside"],
            f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f}",
            f"{row['requests_per_second']:,}",
        )
        lines.append(
            f"| {' | '.join(cells)} | {row['attempts_per_second']:,} | {row['cpu_ms_an_attempt']} | {got} |"
        )
    return "\n".join(lines)


@contextmanager
def _attacking(name: str, server: Server, key: str, seconds: int, seen: Counter[str]) -> Iterator[None]:
    """Another process misbehaves meanwhile, a second longer than the measurement; what it got is counted."""
    if name == NOBODY:
        yield
        return
    arguments = ["--attack", name, "--port", str(server.port), "--key", key, "--seconds", str(seconds + 1)]
    command = [sys.executable, "-m", "benchmarks.hostile", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield
        seen.update(json.loads(process.stdout.read()))


def _misbehave(name: str, port: int, key: str, seconds: float) -> None:
    """Do it until the time is over; print what came back, by status."""
    whole = name in ATTACKS
    sent = (ATTACKS[name] if whole else HALF[name])(key)
    print("begun", flush=True)
    seen: Counter[str] = Counter()
    hanging: list[socket.socket] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not whole and len(hanging) >= _HANGING:
            time.sleep(0.05)
            continue
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        if whole:
            seen[_status(connection, sent)] += 1
            connection.close()
        else:
            connection.sendall(sent)
            hanging.append(connection)
            seen["no answer while it waited"] += 1
    print(json.dumps(seen))


def _status(connection: socket.socket, sent: bytes) -> str:
    with suppress(OSError):  # the server may hang up before all is sent: what it said is still to be read
        connection.sendall(sent)
    try:
        head = connection.recv(65_536)
    except OSError:
        return _CLOSED
    return head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.1 ") else _CLOSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of the ordinary clients")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
