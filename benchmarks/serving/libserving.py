"""LibRecommender's serving module, with its Redis, on the vectors of one of our versions.

Its own code stores what it needs in Redis and answers (`libserving.serialization.redis`,
`libserving.sanic_serving.embed_deploy`); the FAISS index is the one that its `save_faiss_index` builds by default
(IVF, 80 cells, 10 of them looked into). It lives in a virtual environment of its own; Redis comes with the system.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np

from benchmarks.environment import REPOSITORY
from benchmarks.serving import load
from benchmarks.serving.load import Server
from cml.snapshot import Snapshot

HOME = REPOSITORY / ".cache" / "libserving"
LIBRARY = "LibRecommender==1.5.2"
NEEDS = ("sanic", "redis", "ujson", "pydantic", "faiss-cpu", "numpy")  # of the serving half
_CELLS, _PROBES = 80, 10  # the library's defaults
_REDIS_PORT = 6379  # embed_deploy knows no other
_START = "from libserving.sanic_serving.embed_deploy import app;" + (
    "app.run(host='127.0.0.1', port=PORT, debug=False, access_log=False, single_process=True)"
)


def environment_python(home: Path = HOME) -> Path:
    """The interpreter of the library's environment, made on first use. Raises CalledProcessError."""
    python, ready = home / "bin" / "python", home / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--no-deps", LIBRARY], check=True)
        subprocess.run([*install, "-c", str(REPOSITORY / "constraints.txt"), *NEEDS], check=True)
        ready.write_text(LIBRARY, encoding="utf-8")
    return python


def prepare(snapshot: Snapshot, directory: Path, n_users: int) -> None:
    """Write the files that the library's own loader takes to Redis. Users and items are known by their rows."""
    directory.mkdir(parents=True, exist_ok=True)
    artifact = snapshot.artifact
    items = {row: row for row in range(snapshot.n_items)}
    users = {row: row for row in range(n_users)}
    files = {
        "model_name": {"model_name": "CML"},
        "user2id": users,
        "id2item": items,
        "item2id": items,
        "user_consumed": {row: snapshot.seen_rows(row).tolist() for row in users},
        "user_embed": {row: artifact.user_vectors[row].tolist() for row in users},
    }
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    vectors = np.array(artifact.item_vectors)
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], _CELLS, faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors)
    index.add(vectors)
    index.nprobe = _PROBES
    faiss.write_index(index, str(directory / "faiss_index.bin"))


@contextmanager
def running(directory: Path) -> Iterator[tuple[Server, Server]]:
    """Redis and the server, filled from `directory`: (server, Redis)."""
    python = environment_python()
    site = next((HOME / "lib").glob("python3*")) / "site-packages"
    shutil.copy(directory / "faiss_index.bin", site / "libserving" / "faiss_index.bin")  # it looks there only
    redis = subprocess.Popen(
        [
            "redis-server",
            "--port",
            str(_REDIS_PORT),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        if redis.poll() is not None:
            raise SystemExit(f"redis-server does not start: is port {_REDIS_PORT} taken?")
        source = site / "libserving" / "serialization" / "redis.py"
        fill = (
            "import importlib.util as u; s=u.spec_from_file_location('fill', SOURCE);"
            "m=u.module_from_spec(s); s.loader.exec_module(m); m.embed2redis(DIRECTORY)"
        )
        fill = fill.replace("SOURCE", repr(str(source))).replace("DIRECTORY", repr(str(directory)))
        subprocess.run([str(python), "-c", fill], check=True)
        port = load.free_port()
        command = [str(python), "-c", _START.replace("PORT", str(port))]
        with load.running(command, port, "/", directory / "libserving.log", any_answer=True) as server:
            yield server, Server(redis.pid, _REDIS_PORT)
    finally:
        redis.terminate()
        redis.wait()
