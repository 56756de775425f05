"""implicit: Bayesian personalised ranking. settings: factors, learning_rate, regularization."""

from __future__ import annotations

from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix

from benchmarks.peers.protocol import Job, Recorder


def fit(train: csr_matrix, job: Job, recorder: Recorder) -> None:
    # The factors hold the item bias already, against a constant one of every user.
    model = BayesianPersonalizedRanking(
        **job.settings, iterations=job.epochs[-1], num_threads=job.threads, random_state=job.seed
    )
    model.fit(
        train,
        show_progress=False,
        callback=lambda *_: recorder.epoch_done(lambda: (model.user_factors, model.item_factors)),
    )
