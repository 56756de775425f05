"""PyTorchCML. settings: n_dim, n_neg_samples, batch_size, learning_rate, margin, and loss (`min` or `sum`).

Negatives are drawn without looking at what the user has seen: the library's other way needs a SciPy before 1.14.
"""

from __future__ import annotations

import numpy as np
import torch
from PyTorchCML.losses import MinTripletLoss, SumTripletLoss
from PyTorchCML.models import CollaborativeMetricLearning
from PyTorchCML.samplers import BaseSampler
from PyTorchCML.trainers import BaseTrainer
from scipy.sparse import csr_matrix

from benchmarks.peers.protocol import Job, Recorder, Vectors, from_distances

LOSSES = {"min": MinTripletLoss, "sum": SumTripletLoss}


def fit(train: csr_matrix, job: Job, recorder: Recorder) -> None:
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    settings = dict(job.settings)
    users, items = train.nonzero()
    model = CollaborativeMetricLearning(*train.shape, n_dim=settings["n_dim"])
    sampler = BaseSampler(
        torch.from_numpy(np.column_stack([users, items]).astype(np.int64)),
        *train.shape,
        device=torch.device("cpu"),
        batch_size=settings["batch_size"],
        n_neg_samples=settings["n_neg_samples"],
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    trainer = BaseTrainer(model, optimizer, LOSSES[settings["loss"]](margin=settings["margin"]), sampler)
    steps = -(-train.nnz // settings["batch_size"])
    for _ in range(job.epochs[-1]):
        trainer.fit(n_batch=steps, n_epoch=1)
        recorder.epoch_done(lambda: _vectors(model))


def _vectors(model: CollaborativeMetricLearning) -> Vectors:
    tables = (table.weight.detach().numpy() for table in (model.user_embedding, model.item_embedding))
    return from_distances(*map(_projected, tables))


def _projected(table: np.ndarray) -> np.ndarray:
    """Rows at most 1 long: torch brings a row back only when it is next looked up."""
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1.0)
