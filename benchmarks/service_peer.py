"""Our service beside LibRecommender's serving module on the same vectors, one client driving them in turn.

    python -m benchmarks.service_peer [--items 26000] [--users 5000] [--seconds 3] [--rounds 3]

Needs wrk and redis-server. Writes benchmarks/results/service-peer.json. Ours has API keys and the event store on, as in
`benchmarks.service`; the peer has neither. Recall is that of the peer's lists against an exact search.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.records import birthplace, write_record
from benchmarks.service import CONCURRENCIES, serving
from benchmarks.serving import libserving, load
from benchmarks.serving.world import publish
from cml.recommend import recommend
from cml.snapshot import Snapshot, load_snapshot

_K = 10
_JUDGED = 200  # users on whom recall is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=26_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        record = birthplace("benchmarks.service_peer", sys.argv[1:], []) | measure(given, Path(directory))
    print(json.dumps(record["results"], indent=1), record["recall"])
    write_record("service", "peer", record)


def measure(given: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Both at each concurrency, in turn: medians of the rounds."""
    models = directory / "models"
    models.mkdir()
    publish(models, given.items, given.users, given.seed)
    snapshot = load_snapshot(models)
    libserving.prepare(snapshot, directory / "peer", given.users)
    users = np.random.default_rng(given.seed).integers(0, given.users, 2000).tolist()
    with ExitStack() as stack:
        peer, redis = stack.enter_context(libserving.running(directory / "peer"))
        ours, key = stack.enter_context(serving(models, directory))
        asks_ours = [("GET", f"/v1/users/user-{user}/recommendations?k={_K}", "") for user in users]
        asks_peer = [("POST", "/embed/recommend", json.dumps({"user": user, "n_rec": _K})) for user in users]
        script_ours = load.script(directory, "ours", asks_ours, key)
        script_peer = load.script(directory, "theirs", asks_peer)
        load.drive(ours, script_ours, 16, 2)
        load.drive(peer, script_peer, 16, 2)
        rows = []
        for concurrency in CONCURRENCIES:
            samples = []
            for _ in range(given.rounds):
                mine = load.drive(ours, script_ours, concurrency, given.seconds)
                before = redis.cpu_seconds()
                other = load.drive(peer, script_peer, concurrency, given.seconds)
                samples.append((mine, other, redis.cpu_seconds() - before))
            rows.append(_row(concurrency, samples))
        return {"results": rows, "k": _K, "recall": {"peer": _recall(peer, snapshot), "ours": _own(snapshot)}}


def _row(concurrency: int, samples: list[tuple[load.Sample, load.Sample, float]]) -> dict[str, Any]:
    redis_us = median(used / max(other.requests, 1) * 1e6 for _, other, used in samples)
    return {
        "concurrency": concurrency,
        "ours_per_second": round(median(mine.per_second for mine, _, _ in samples)),
        "peer_per_second": round(median(other.per_second for _, other, _ in samples)),
        "times": round(median(mine.per_second / other.per_second for mine, other, _ in samples), 2),
        "ours_cpu_us": round(median(mine.cpu_us for mine, _, _ in samples), 1),
        "peer_cpu_us": round(median(other.cpu_us for _, other, _ in samples), 1),
        "peer_redis_cpu_us": round(redis_us, 1),
        "ours_p99_ms": median(mine.p99_ms for mine, _, _ in samples),
        "peer_p99_ms": median(other.p99_ms for _, other, _ in samples),
        "failed": [sum(mine.failed for mine, _, _ in samples), sum(other.failed for _, other, _ in samples)],
    }


def _exact(snapshot: Snapshot, user: int) -> set[int]:
    """The unseen items with the largest product, by looking at all: on the sphere the nearest ones."""
    artifact = snapshot.artifact
    products = artifact.item_vectors @ artifact.user_vectors[user]
    products[snapshot.seen_rows(user)] = -np.inf
    return set(np.argsort(-products)[:_K].tolist())


def _own(snapshot: Snapshot) -> float:
    lists = [
        set(recommend(snapshot, f"user-{user}", k=_K).rows.tolist()) & _exact(snapshot, user)
        for user in range(_JUDGED)
    ]
    return round(sum(map(len, lists)) / (_K * _JUDGED), 4)


def _recall(peer: load.Server, snapshot: Snapshot) -> float:
    found = 0
    for user in range(_JUDGED):
        asked = json.dumps({"user": user, "n_rec": _K}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{peer.port}/embed/recommend", asked)
        (listed,) = json.loads(urllib.request.urlopen(request).read()).values()
        found += len({int(item) for item in listed} & _exact(snapshot, user))
    return round(found / (_K * _JUDGED), 4)


if __name__ == "__main__":
    main()
