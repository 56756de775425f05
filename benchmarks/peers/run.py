"""Fit one peer inside the peers' environment: `python -m benchmarks.peers.run JOB.json`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.peers.protocol import Job, OutOfTime, Recorder

# Which module knows how to fit what; each has `fit(train, job, start) -> None`.
MODULES = {
    "implicit-als": "benchmarks.peers.implicit_als",
    "implicit-bpr": "benchmarks.peers.implicit_bpr",
    "lightfm-warp": "benchmarks.peers.lightfm_warp",
    "pytorchcml": "benchmarks.peers.pytorchcml",
}


def main(path: Path) -> None:
    job = Job.read(path)
    with np.load(job.train) as file:
        ones = np.ones(len(file["user_rows"]), dtype=np.float32)
        train = csr_matrix((ones, (file["user_rows"], file["item_rows"])), shape=tuple(file["shape"]))
    fit = import_module(MODULES[job.model]).fit  # imports are not part of the time
    recorder = Recorder(job)
    try:
        fit(train, job, recorder)
    except OutOfTime:
        print(f"{job.model}: out of time after epoch {len(recorder.seconds)}")
    recorder.write()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
