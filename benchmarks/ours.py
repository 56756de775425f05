"""Our side, run as a user would run it: `cml train --json`, judged like everybody else."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fitted import Fitted
from benchmarks.splits import Parts
from cml.artifact import load
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen


def trained(
    parts: Parts, run: Path, *, seed: int, threads: int, arguments: Sequence[str] = ()
) -> tuple[Fitted, dict[str, Any]]:
    """The model of `cml train` with these arguments, and what the command said."""
    command = [sys.executable, "-m", "cml", "train", "--json", "--out", str(run)]
    files = ["--train", str(parts.files["train"]), "--valid", str(parts.files["valid"])]
    options = ["--seed", str(seed), "--threads", str(threads), *arguments]
    started, before = time.perf_counter(), _children_cpu_seconds()
    done = subprocess.run([*command, *files, *options], check=True, stdout=subprocess.PIPE, text=True)
    seconds, cpu_seconds = time.perf_counter() - started, _children_cpu_seconds() - before
    said = json.loads(done.stdout)
    users, items = vectors(run, parts)

    def lists(held_out: HeldOut, k: int) -> NDArray[np.int32]:
        return top_unseen(users[held_out.user_rows], items, held_out.seen, k, threads=threads)

    return Fitted(lists, said["best_epoch"], seconds, cpu_seconds), said


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vectors(run: Path, parts: Parts) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The artifact's vectors in the order of the parts' rows."""
    artifact = load(run / "artifact")
    users = artifact.users.rows(parts.train.users)
    items = artifact.items.rows(parts.train.items)
    return np.asarray(artifact.user_vectors)[users], np.asarray(artifact.item_vectors)[items]
