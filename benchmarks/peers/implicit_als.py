"""implicit: alternating least squares. settings: factors, regularization, alpha."""

from __future__ import annotations

from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from benchmarks.peers.protocol import Job, Recorder


def fit(train: csr_matrix, job: Job, recorder: Recorder) -> None:
    model = AlternatingLeastSquares(
        **job.settings, iterations=job.epochs[-1], num_threads=job.threads, random_state=job.seed
    )
    model.fit(
        train,
        show_progress=False,
        callback=lambda *_: recorder.epoch_done(lambda: (model.user_factors, model.item_factors)),
    )
