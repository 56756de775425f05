"""The metric space: two tables of vectors inside one ball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def project_to_ball(points: Tensor, radius: float | None) -> Tensor:
    """`x * r / max(r, ||x||)` for each point (..., dim) [CML-5]: points inside stay as they are; None: no ball."""
    if radius is None:
        return points
    norms = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    return points * (radius / norms.clamp(min=radius))


@dataclass(frozen=True)
class Space:
    """User and item vectors, updated in place during training."""

    users: Tensor  # (n_users, dim) float32
    items: Tensor  # (n_items, dim) float32
    radius: float | None = 1.0

    @classmethod
    def random(
        cls, n_users: int, n_items: int, dim: int, radius: float | None, generator: torch.Generator
    ) -> Space:
        """Vectors drawn from N(0, 1/dim) per component and projected, scaled with the radius."""
        scale = (radius or 1.0) / dim**0.5

        def draw(n: int) -> Tensor:
            return project_to_ball(torch.randn(n, dim, generator=generator) * scale, radius)

        return cls(draw(n_users), draw(n_items), radius)

    def to(self, device: str | torch.device) -> Space:
        """The same space with its tables on another device."""
        return Space(self.users.to(device), self.items.to(device), self.radius)

    def copy(self) -> Space:
        """A space with tables of its own."""
        return Space(self.users.clone(), self.items.clone(), self.radius)

    def overwrite(self, other: Space) -> None:
        """Take over the vectors of a space of the same shape, in place."""
        self.users.copy_(other.users)
        self.items.copy_(other.items)
