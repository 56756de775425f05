"""Turning a new space onto an old one: a rotation about the ball's centre, which keeps every distance.

Training decides distances, not directions: two versions of the same model may differ by any rotation. Turned
onto the version before, vectors stay comparable, so that stored points and monitoring keep their meaning.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from cml.training.space import Space, project_to_ball


@dataclass(frozen=True)
class Displacement:
    """How far common items moved between two versions, on average, as plain distances."""

    items: int  # that both versions know
    before: float  # as trained
    after: float  # turned onto the version before

    def as_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)


def rotation_onto(points: Tensor, targets: Tensor) -> Tensor:
    """The orthogonal matrix (dim, dim) that minimises `sum |x R - y|^2` over aligned rows [RETRAIN-2].

    Orthogonal Procrustes: with `X^T Y = U S V^T`, it is `U V^T` (Schoenemann 1966). A reflection may be part of it.
    """
    left, _, right = torch.linalg.svd(points.double().T @ targets.double())
    return left @ right


def aligned(space: Space, rows: Tensor, targets: Tensor) -> tuple[Space, Displacement]:
    """The space, turned so that its items at `rows` lie as near as possible to `targets` (len(rows), dim).

    Every distance and norm stays as it was, up to rounding. Without a common item nothing is turned.
    """
    if not len(rows):
        return space, Displacement(0, 0.0, 0.0)
    common = space.items[rows]
    rotation = rotation_onto(common, targets)
    users, items = (
        project_to_ball((table.double() @ rotation).float(), space.radius)
        for table in (space.users, space.items)
    )
    turned = Space(users, items, space.radius)
    return turned, Displacement(len(rows), _apart(common, targets), _apart(turned.items[rows], targets))


def _apart(points: Tensor, targets: Tensor) -> float:
    return float(torch.linalg.vector_norm(points - targets, dim=1).mean())
