"""What is known about each epoch, as rows of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from cml.training.losses import covariance_penalty
from cml.training.space import Space

SURFACE = 0.999  # share of the radius from which on a vector counts as lying on the ball's surface
SAMPLE = 2048  # vectors of each kind that shape statistics are taken from


@dataclass(frozen=True)
class Epoch:
    """One row of the history. Shares are fractions; seconds are of training alone, and of validation alone."""

    number: int  # from 1
    loss: float  # weighted mean over positives
    impostor_share: float  # of eligible negatives that violate the margin
    learning_rate: float
    user_norm: float  # mean length
    item_norm: float
    on_surface: float  # share of vectors at the ball's radius
    covariance: float  # [CML-4] over a sample
    seconds: float
    validation_seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)  # on validation data

    def row(self) -> dict[str, Any]:
        """Flat, for a table: one column for each validation metric."""
        values = {name: value for name, value in vars(self).items() if name != "metrics"}
        return values | {f"validation {name}": value for name, value in self.metrics.items()}


def shape_of(space: Space) -> dict[str, float]:
    """Norms, share on the surface and covariance, from evenly spaced rows of both tables."""
    users, items = (table[:: max(1, len(table) // SAMPLE)] for table in (space.users, space.items))
    points = torch.cat([users, items])
    norms = torch.linalg.vector_norm(points, dim=1)
    on_surface = (norms >= SURFACE * space.radius).float().mean() if space.radius else torch.zeros(())
    return {
        "user_norm": float(norms[: len(users)].mean()),
        "item_norm": float(norms[len(users) :].mean()),
        "on_surface": float(on_surface),
        "covariance": float(covariance_penalty(points)),
    }


def as_csv(history: Sequence[Epoch]) -> str:
    """The history with a header line; empty without epochs."""
    if not history:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[-1].row()), restval="")
    writer.writeheader()
    writer.writerows(epoch.row() for epoch in history)
    return text.getvalue()
