"""A hundred new versions under load: does a request fail, does an answer mix versions, does memory come back?

    python -m benchmarks.swaps [--swaps 100] [--items 26000] [--workers 2]

Two versions of the service's benchmark model, whose lists differ, take turns as the current one while clients ask known
users, sessions, similar items and batches without a pause. Each answer must be exactly the list of the version that it
names. Memory is private (USS) to the workers, at the same moment of a swap, after some swaps and after all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.records import birthplace, write_record
from benchmarks.serving import load
from benchmarks.serving.load import Server
from benchmarks.serving.world import publish
from cml.recommend import Signal, recommend, recommend_session, similar_items
from cml.registry import Registry
from cml.snapshot import load_snapshot

_CLIENTS = 3
_QUESTIONS = 40  # of each kind
_BATCH = 5
_WARM_SWAPS = 10  # before memory is read for the first time
_K = 20

Question = tuple[str, str, str]  # method, path, body
Lists = list[list[str]]


@dataclass
class Traffic:
    """What the clients asked and saw."""

    expected: Mapping[str, Mapping[Question, Lists]]  # by version
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self, port: int, number: int) -> None:
        """Ask until told to stop, on one connection."""
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        questions = list(next(iter(self.expected.values())))
        order = np.random.default_rng(number)
        while not self.done.is_set():
            question = questions[int(order.integers(len(questions)))]
            try:
                self._check(question, *_answer(connection, question))
            except (OSError, HTTPException) as error:
                self.failures.append(f"{question[:2]}: {error!r}")

    def _check(self, question: Question, status: int, body: bytes) -> None:
        if status != 200:
            self.failures.append(f"{question[:2]}: {status} {body[:200]!r}")
            return
        answers = [json.loads(line) for line in body.splitlines()]
        for at, answer in enumerate(
            answers
        ):  # a batch is streamed: each of its lines is an answer of its own
            version = answer["model_version"]
            self.answers[version] += 1
            if [item["item_id"] for item in answer["items"]] != self.expected[version][question][at]:
                self.mixed.append(f"{question[:2]}: {version}")


def main() -> None:
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory) / "models"
        versions = [publish(models, given.items, given.users, given.seed + number) for number in range(2)]
        record = birthplace("benchmarks.swaps", sys.argv[1:], [])
        record |= _run(models, versions, given)
    write_record("swaps", f"{given.items}-items", record)
    print(json.dumps(record, indent=1))


def _run(models: Path, versions: list[str], given: argparse.Namespace) -> dict[str, Any]:
    questions = _questions(given)
    traffic = Traffic({version: _expected(models, version, questions) for version in versions})
    with _serving(models, given.workers) as server:
        clients = [
            threading.Thread(target=traffic.ask, args=(server.port, number)) for number in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        memory, taken = [], []
        for swap in range(given.swaps):
            taken.append(_swap(models, versions[swap % 2], server, given.workers))
            if swap >= _WARM_SWAPS and swap % 2:
                memory.append(_private(server, given.workers))
        traffic.done.set()
        for client in clients:
            client.join()
    return {
        "swaps": given.swaps,
        "workers": given.workers,
        "answers": sum(traffic.answers.values()),
        "answers_by_version": sorted(traffic.answers.values()),
        "failed": len(traffic.failures),
        "mixed": len(traffic.mixed),
        "examples": [*traffic.failures[:3], *traffic.mixed[:3]],
        "swap_seconds": round(float(np.median(taken)), 2),
        "private_mib": [round(one / 2**20, 1) for one in memory],
        "memory_growth": round(float(np.mean(memory[-5:]) / np.mean(memory[:5]) - 1), 4),
    }


def _questions(given: argparse.Namespace) -> list[Question]:
    rng = np.random.default_rng(given.seed + 5)
    users = [f"user-{row}" for row in rng.integers(0, given.users, _QUESTIONS)]
    items = [f"item-{row}" for row in rng.integers(0, given.items, _QUESTIONS)]
    batches = [[str(user) for user in rng.choice(users, _BATCH, replace=False)] for _ in range(_QUESTIONS)]
    session = ["/v1/recommendations", "/v1/recommendations/batch"]
    return [
        *(("GET", f"/v1/users/{user}/recommendations?k={_K}", "") for user in users),
        *(("GET", f"/v1/items/{item}/similar?k={_K}", "") for item in items),
        *(("POST", session[0], json.dumps({"liked": [{"item_id": item}], "k": _K})) for item in items),
        *(("POST", session[1], json.dumps({"user_ids": batch, "k": _K})) for batch in batches),
    ]


def _expected(models: Path, version: str, questions: list[Question]) -> dict[Question, Lists]:
    """What the version answers, asked without a server."""
    snapshot = load_snapshot(models, version)
    found: dict[Question, Lists] = {}
    for question in questions:
        _, path, text = question
        body = json.loads(text) if text else {}
        if "user_ids" in body:
            answers = [recommend(snapshot, user, k=_K) for user in body["user_ids"]]
        elif "liked" in body:
            answers = [recommend_session(snapshot, [Signal(one["item_id"]) for one in body["liked"]], k=_K)]
        elif path.startswith("/v1/items/"):
            answers = [similar_items(snapshot, path.split("/")[3], k=_K)]
        else:
            answers = [recommend(snapshot, path.split("/")[3], k=_K)]
        found[question] = [[item.item_id for item in answer.items] for answer in answers]
    return found


@contextmanager
def _serving(models: Path, workers: int) -> Iterator[Server]:
    port = load.free_port()
    command = [
        sys.executable,
        "-m",
        "service",
        "--models",
        str(models),
        "--port",
        str(port),
        "--events",
        "off",
    ]
    environment = {"CML_SERVICE_POLL_SECONDS": "0.1", "CML_SERVICE_ACCESS_LOG": "false"}
    os.environ.update(environment)
    with load.running(
        [*command, "--workers", str(workers)], port, "/readyz", models.parent / "service.log"
    ) as server:
        yield server


def _swap(models: Path, version: str, server: Server, workers: int) -> float:
    """Make a version current; seconds until every worker answers with it."""
    began = time.perf_counter()
    Registry(models).set_current(version)
    in_a_row = 0
    while in_a_row < 8 * workers:  # connections of their own, so that each worker gets some
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        _, body = _answer(connection, ("GET", "/v1/users/user-1/recommendations?k=1", ""))
        connection.close()
        in_a_row = in_a_row + 1 if json.loads(body)["model_version"] == version else 0
    return time.perf_counter() - began


def _answer(connection: HTTPConnection, question: Question) -> tuple[int, bytes]:
    method, path, body = question
    connection.request(method, path, body or None, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def _private(server: Server, workers: int) -> int:
    """Bytes that belong to the workers alone."""
    process = psutil.Process(server.pid)
    return sum(one.memory_full_info().uss for one in ([process] if workers == 1 else process.children()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
