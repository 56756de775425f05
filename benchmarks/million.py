"""A catalogue of a million items: how long publishing takes, how soon a worker is ready, how fast and right it is.

    python -m benchmarks.million [--items 1000000] [--users 5000] [--models DIR]

Clustered vectors in 64 dimensions. Requests come from wrk on the same machine, on 4 connections, to one worker with API
keys and the event store. Recall is of the approximate index beside a search of all vectors: for users, for items, for
strangers folded in from ten likes among the hundred items around one, and from ten likes drawn from everywhere.
Memory is private (USS) after traffic.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import service
from benchmarks.records import birthplace, write_record
from benchmarks.serving import load
from benchmarks.serving.world import content
from cml import artifact
from cml.registry import Registry
from cml.snapshot import Snapshot

CONCURRENCY = 4
_ASKED = 2000  # requests, and points on which recall is measured
_STARTS = 5
_LENGTHS = (10, 100)
_LIKED = 10


def main() -> None:
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = given.models or Path(directory) / "models"
        record = birthplace("benchmarks.million", sys.argv[1:], [place])
        record |= {"items": given.items, "users": given.users, "seed": given.seed}
        if not place.is_dir():
            record["publishing"] = _publish(place, given)
        record["ready_seconds"] = [_ready(place) for _ in range(_STARTS)]
        snapshot = Snapshot.load(Registry(place))
        record["index"] = snapshot.artifact.manifest.index.model_dump()
        record["recall"] = _recall(snapshot, given.seed)
        del snapshot
        requests = _requests(given)
        record["answers"] = _answers(place, Path(directory), requests, given)
        record["memory"] = _memory(place, Path(directory), requests, given)
    write_record("million", f"{given.items}-items", record)
    print(json.dumps(record, indent=1))


def _publish(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    made = content(given.items, given.users, np.random.default_rng(given.seed))
    began, cpu = time.perf_counter(), time.process_time()
    staged = place.with_name(f"{place.name}-run")
    artifact.write(made, staged)
    written = time.perf_counter()
    Registry(place).publish(staged)
    ended = time.perf_counter()
    return {
        "write_seconds": round(written - began, 1),
        "publish_seconds": round(ended - written, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "threads": faiss.omp_get_max_threads(),
        "bytes": sum(file.stat().st_size for file in staged.iterdir()),
    }


def _ready(models: Path) -> float:
    """Seconds from the end of the imports until a worker is ready; its files are in the page cache."""
    command = [sys.executable, "-m", "benchmarks.serving.start", str(models)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _recall(snapshot: Snapshot, seed: int) -> dict[str, dict[str, float]]:
    """Of the true nearest items, the share that is found, by the kind of point and the length of the list."""
    rng, n = np.random.default_rng(seed + 2), _ASKED // 4
    vectors, users = snapshot.artifact.item_vectors, snapshot.artifact.user_vectors
    around = snapshot.index.search(vectors[rng.choice(len(vectors), n, replace=False)], 100)[0]
    points = {
        "users": users[rng.choice(len(users), n, replace=False)],
        "items": vectors[rng.choice(len(vectors), n, replace=False)],
        "sessions": _folded(snapshot, [rng.choice(near, _LIKED, replace=False) for near in around]),
        "sessions without any taste": _folded(
            snapshot, [rng.choice(len(vectors), _LIKED, replace=False) for _ in range(n)]
        ),
    }
    return {kind: _found(snapshot, some) for kind, some in points.items()}


def _folded(snapshot: Snapshot, liked: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    return np.stack([snapshot.fold_in.point(rows) for rows in liked])


def _found(snapshot: Snapshot, points: NDArray[np.float32]) -> dict[str, float]:
    _, true = faiss.knn(points, snapshot.artifact.item_vectors, max(_LENGTHS))
    found, _ = snapshot.index.search(points, max(_LENGTHS))  # a shorter list is the beginning of a longer one
    pairs = list(zip(true, found, strict=True))
    shares = {k: np.mean([np.isin(wanted[:k], got[:k]).mean() for wanted, got in pairs]) for k in _LENGTHS}
    return {f"recall@{k}": round(float(share), 5) for k, share in shares.items()}


def _requests(given: argparse.Namespace) -> dict[str, list[service.Request]]:
    cases = service.cases(given.users, given.items, given.seed)
    items = np.random.default_rng(given.seed + 3).integers(0, given.items, _ASKED)
    similar = [("GET", f"/v1/items/item-{item}/similar?k=10", "") for item in items]
    names = ("known user, k=10", "session", "filter")
    return {name: cases[name] for name in names} | {"similar items": similar}


def _answers(
    models: Path, directory: Path, requests: dict[str, list[service.Request]], given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Each case at four connections: medians of the rounds."""
    with service.serving(models, directory) as (server, key):
        scripts = {
            name: load.script(directory, f"case-{number}", asked, key)
            for number, (name, asked) in enumerate(requests.items())
        }
        for script in scripts.values():
            load.drive(server, script, CONCURRENCY, given.seconds)
        return [
            {
                "case": name,
                **_medians(
                    [load.drive(server, script, CONCURRENCY, given.seconds) for _ in range(given.rounds)]
                ),
            }
            for name, script in scripts.items()
        ]


def _medians(samples: Sequence[load.Sample]) -> dict[str, float]:
    return {
        "requests_per_second": round(median(one.per_second for one in samples)),
        "cpu_us": round(median(one.cpu_us for one in samples)),
        "p50_ms": median(one.p50_ms for one in samples),
        "p99_ms": median(one.p99_ms for one in samples),
        "failed": sum(one.failed for one in samples),
    }


def _memory(
    models: Path, directory: Path, requests: dict[str, list[service.Request]], given: argparse.Namespace
) -> dict[str, list[float]]:
    """Private mebibytes of each of two workers after a mix of all requests."""
    keys = directory / "keys.json"
    keys.unlink()
    with service.serving(models, directory, "--workers", "2") as (supervisor, key):
        mixed = [one for some in zip(*requests.values(), strict=True) for one in some]
        load.drive(supervisor, load.script(directory, "mixed", mixed, key), 8, 2 * given.seconds)
        workers = [
            psutil.Process(supervisor.pid).children()[number].memory_full_info() for number in range(2)
        ]
    return {
        "private_mib": [round(worker.uss / 2**20, 1) for worker in workers],
        "resident_mib": [round(worker.rss / 2**20, 1) for worker in workers],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=5, help="of each run of the client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, help="a registry made by an earlier run with the same numbers")
    return parser


if __name__ == "__main__":
    main()
