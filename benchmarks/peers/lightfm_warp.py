"""LightFM with the WARP loss. settings: no_components, learning_rate, max_sampled, item_alpha."""

from __future__ import annotations

from lightfm import LightFM
from scipy.sparse import csr_matrix

from benchmarks.peers.protocol import Job, Recorder, with_biases


def fit(train: csr_matrix, job: Job, recorder: Recorder) -> None:
    model = LightFM(loss="warp", random_state=job.seed, **job.settings)
    interactions = train.tocoo()
    for _ in range(job.epochs[-1]):
        model.fit_partial(interactions, epochs=1, num_threads=job.threads)
        recorder.epoch_done(
            lambda: with_biases(model.user_embeddings, model.item_embeddings, model.item_biases)
        )
