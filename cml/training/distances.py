"""Distances between points [D-1]. All take broadcastable points (..., dim) and return (...)."""

from __future__ import annotations

import torch
from torch import Tensor


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """`||x - y||_2`: a metric, and the one that published answers state."""
    return torch.linalg.vector_norm(x - y, dim=-1)


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """`||x - y||_2^2`: what losses use. Not a metric: it breaks the triangle inequality."""
    return (x - y).square().sum(-1)


def manhattan(x: Tensor, y: Tensor) -> Tensor:
    """Sum of absolute differences: a metric."""
    return (x - y).abs().sum(-1)


def chebyshev(x: Tensor, y: Tensor) -> Tensor:
    """Largest absolute difference: a metric."""
    return (x - y).abs().amax(-1)


def minkowski(x: Tensor, y: Tensor, p: float) -> Tensor:
    """`(sum |x - y|^p)^(1/p)`: a metric for p >= 1; smaller p raise ValueError."""
    if p < 1:
        raise ValueError(f"Minkowski distance with p = {p}: below 1 it is not a metric; use p >= 1")
    return torch.linalg.vector_norm(x - y, ord=p, dim=-1)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """`1 - cos(x, y)`, in [0, 2]. Not a metric. A zero vector is at distance 1 from everything."""
    return 1 - torch.nn.functional.cosine_similarity(x, y, dim=-1)


def mahalanobis(x: Tensor, y: Tensor, covariance: Tensor) -> Tensor:
    """`sqrt((x - y)^T covariance^-1 (x - y))`: a metric for a positive definite (dim, dim) covariance.

    Raises torch.linalg.LinAlgError when the covariance is not positive definite.
    """
    factor = torch.linalg.cholesky(covariance)
    difference = (x - y).unsqueeze(-1)
    whitened = torch.linalg.solve_triangular(factor, difference, upper=False)
    return torch.linalg.vector_norm(whitened.squeeze(-1), dim=-1)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """All squared Euclidean distances between x (n, dim) and y (m, dim) by one matrix product: (n, m), >= 0."""
    products = torch.addmm(y.square().sum(1)[None, :], x, y.T, alpha=-2)
    return (
        products.add_(x.square().sum(1)[:, None]).clamp_(min=0)
        if not products.requires_grad
        else (products + x.square().sum(1)[:, None]).clamp(min=0)
    )
