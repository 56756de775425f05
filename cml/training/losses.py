"""The losses of metric learning for recommendation: pure, on squared distances unless stated, unreduced.

Shapes: `d_pos` (batch,) from a user to one of its liked items; `d_neg` (batch, negatives) from the same user to
items that are not liked; `eligible` (batch, negatives) False where a drawn item must not be used, because the
user has interacted with it. Row losses return (batch,): the caller weights and reduces.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def contrastive(distance: Tensor, similar: Tensor, *, margin: float) -> Tensor:
    """Pull similar pairs together, push others apart up to the margin [ML-1]; plain distances, any shape."""
    return torch.where(similar, distance.square(), (margin - distance).clamp(min=0).square())


def triplet(d_pos: Tensor, d_neg: Tensor, *, margin: float) -> Tensor:
    """`[d_pos - d_neg + margin]_+` for every negative [ML-2]: (batch, negatives).

    Plain or squared distances, as the caller chooses; with squared ones it is the hinge of [CML-1].
    """
    return (d_pos[:, None] - d_neg + margin).clamp(min=0)


def improved_triplet(d_pos: Tensor, d_neg: Tensor, *, margin: float) -> Tensor:
    """The triplet loss that keeps pulling the liked item in absolute terms [ML-3]: (batch, negatives)."""
    return d_pos[:, None] + triplet(d_pos, d_neg, margin=margin)


def lmnn(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, push: float) -> Tensor:
    """Large-margin nearest neighbours [ML-4] with the user's liked items as targets: (batch,).

    `(1 - push) d_pos + push * sum over eligible negatives of [1 + d_pos - d_neg]_+`, squared distances.
    """
    violations = triplet(d_pos, d_neg, margin=1.0) * eligible
    return (1 - push) * d_pos + push * violations.sum(1)


def impostors(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, margin: float) -> Tensor:
    """Which eligible negatives violate the margin: (batch, negatives) bool [CML-2]."""
    return eligible & (d_pos[:, None] - d_neg + margin > 0)


def exact_rank(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, margin: float) -> Tensor:
    """Number of impostors, when the negatives are the whole catalogue [CML-2]: (batch,)."""
    return impostors(d_pos, d_neg, eligible, margin=margin).sum(1).to(d_pos.dtype)


def parallel_rank(
    d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor, *, margin: float
) -> Tensor:
    """Estimate from negatives drawn at once, `floor(n_eligible * impostors / drawn)` [CML-2]: (batch,).

    n_eligible: (batch,) items in the whole catalogue that are negatives of the user. No eligible draw: rank 0.
    """
    violating = impostors(d_pos, d_neg, eligible, margin=margin).sum(1)
    # Integer arithmetic: a float32 quotient can round up to the next whole rank.
    return (n_eligible.long() * violating // eligible.sum(1).clamp(min=1)).to(d_pos.dtype)


def sequential_rank(
    d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor, *, margin: float
) -> Tensor:
    """Estimate from the first impostor in drawing order, after N draws: `floor((n_eligible - 1) / N)`: (batch,).

    Weston 2011 [CML-2]. The columns are the draws in order, their number is the cap; ineligible draws do not count
    as draws. Without an impostor the rank is 0.
    """
    violating = impostors(d_pos, d_neg, eligible, margin=margin)
    draws = eligible.cumsum(1).gather(1, violating.to(torch.uint8).argmax(1, keepdim=True)).squeeze(1)
    rank = (n_eligible.long() - 1) // draws.clamp(min=1)
    return torch.where(violating.any(1), rank, 0).to(d_pos.dtype)


def rank_weight(rank: Tensor) -> Tensor:
    """`log(rank + 1)` [CML-2]."""
    return torch.log1p(rank)


def hardest_hinge(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, margin: float) -> Tensor:
    """Hinge on the eligible negative nearest to the user, as the authors train [CML-2]: (batch,)."""
    nearest = d_neg.masked_fill(~eligible, torch.inf).amin(1)
    return (margin + d_pos - nearest).clamp(min=0)


def first_hinge(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, margin: float) -> Tensor:
    """Hinge on the first impostor in drawing order, 0 without one; goes with `sequential_rank`: (batch,)."""
    violating = impostors(d_pos, d_neg, eligible, margin=margin)
    first = d_neg.gather(1, violating.to(torch.uint8).argmax(1, keepdim=True)).squeeze(1)
    return torch.where(violating.any(1), margin + d_pos - first, 0.0)


def mean_hinge(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, *, margin: float) -> Tensor:
    """Mean hinge over the impostors, 0 without one: (batch,). Unlike the hardest, safe with large samples."""
    violating = impostors(d_pos, d_neg, eligible, margin=margin)
    return (triplet(d_pos, d_neg, margin=margin) * violating).sum(1) / violating.sum(1).clamp(min=1)


def smooth_warp(
    d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor, *, temperature: float
) -> Tensor:
    """`T log(1 + n_eligible / S sum_k exp((d_pos - d_neg_k) / T))` over the S eligible negatives [CML-6]: (batch,).

    With the whole catalogue as negatives it bounds `T log(1 + rank)` at zero margin from above. No eligible
    negative: 0.
    """
    drawn = eligible.sum(1)
    exponents = ((d_pos[:, None] - d_neg) / temperature).masked_fill(~eligible, -torch.inf)
    correction = torch.log(n_eligible / drawn.clamp(min=1))
    loss = temperature * softplus(torch.logsumexp(exponents, 1) + correction)
    return torch.where(drawn > 0, loss, 0.0)


def covariance_penalty(points: Tensor) -> Tensor:
    """Squared off-diagonal covariance of N points (N, dim), divided by N [CML-4]: a scalar.

    The 1/N ties its weight to the number of points: with twice the points in a step, double `lambda_c` for the
    same force.
    """
    centred = points - points.mean(0)
    covariance = centred.T @ centred / len(points)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(points)


def feature_loss(projected: Tensor, vectors: Tensor) -> Tensor:
    """Squared distance between an item's features in the space and its vector [CML-3]: (batch,)."""
    return (projected - vectors).square().sum(-1)
