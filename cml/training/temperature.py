"""How soft the default loss should be, by what the closed-form start says of the data."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.training.rules import LEAST_TEMPERATURE, MOST_TEMPERATURE, REGULARIZATION
from cml.training.space import Space

SOFTER = 2.6  # than likeliest at the start of the usual regularisation
FADING = 0.3  # the weaker the regularisation, the nearer lie the likes it has seen, and unseen ones do not
USERS = 128  # more change the third digit
LEAST_USERS = 16
DISTANCES = 1 << 22  # from these users to all items, unless that leaves fewer than `LEAST_USERS`
_STEPS = 30  # of Newton's method, which needs about six
_ENOUGH = 1e-3  # relative


def softer_by(regularization: float) -> float:
    """How many times the likeliest temperature suits a start of this regularisation [START-1]."""
    return SOFTER * (REGULARIZATION / regularization) ** FADING


def temperature_of(start: Space, positives: csr_array, regularization: float) -> float:
    """`softer_by` times the temperature under which users' likes are most probable at a start in the ball [START-1].

    positives: (n_users, n_items), weights ignored. Some users stand for all: evenly spaced ones, so that chance has no
    part in it. Items have to be all there, the liked ones above all.
    """
    square = (start.radius or 1.0) ** 2
    most = min(USERS, max(LEAST_USERS, DISTANCES // positives.shape[1]))
    rows = _evenly(np.flatnonzero(np.diff(positives.indptr)), most)
    users, likes = start.users[torch.from_numpy(rows)], positives[rows]
    squared = torch.cdist(users, start.items).square()
    softer = softer_by(regularization)
    sharpest, softest = softer / (LEAST_TEMPERATURE * square), softer / (MOST_TEMPERATURE * square)
    return round(softer / _sharpness(squared, _to_liked(start, users, likes), softest, sharpest), 4)


def _to_liked(start: Space, users: Tensor, likes: csr_array) -> Tensor:
    """Each user's mean squared distance to the items they like: (n,)."""
    counts = np.diff(likes.indptr)
    rows = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    squared = (users[rows] - start.items[torch.from_numpy(likes.indices).long()]).square().sum(1)
    return torch.zeros(len(counts)).index_add_(0, rows, squared) / torch.from_numpy(counts)


def _sharpness(squared: Tensor, to_liked: Tensor, least: float, most: float) -> float:
    """The 1 / T of the greatest mean log-likelihood, within bounds.

    squared: (n, items) squared distances. to_liked: (n,), the mean of each user's liked ones. The likelihood is concave
    in 1 / T: its slope says on which side to go on, by Newton's method or, where that would leave the bracket, halfway.
    """
    sharpness = (least * most) ** 0.5
    for _ in range(_STEPS):
        shares = torch.softmax(squared * -sharpness, 1)
        shares *= squared
        expected = shares.sum(1)
        spread = float((shares.mul_(squared).sum(1) - expected.square()).sum())
        slope = float((expected - to_liked).sum())
        least, most = (sharpness, most) if slope > 0 else (least, sharpness)
        new = sharpness + slope / max(spread, 1e-12)
        new = new if least < new < most else (least + most) / 2
        if abs(new - sharpness) <= _ENOUGH * sharpness:
            break
        sharpness = new
    return new


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of some rows."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]
