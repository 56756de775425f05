"""The Wasserstein distance as a trained critic sees it, and fixed pairs on which to check what it sees.

`wasserstein.exact` is the answer for samples that fit in memory; this is the instrument that WGAN and WDGRL
carry inside, held against that answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adversarial import wasserstein
from adversarial.errors import DataError
from adversarial.networks import mlp
from adversarial.objectives import wdgrl_points
from adversarial.relu_slopes import penalised_gradients


@dataclass(frozen=True)
class Estimate:
    """What a critic says about two samples."""

    value: float
    """mean f(x) - mean f(y), in units of distance if the slopes are near 1."""
    lower_bound: float
    """The same divided by the largest slope observed between x and y: never above the exact distance."""
    observed_slope: float


def critic_distance(
    x: Tensor,
    y: Tensor,
    *,
    randomness: torch.Generator,
    one_sided: bool = True,
    penalty: float = 10.0,
    steps: int = 1500,
    batch_size: int = 256,
    width: int = 128,
    learning_rate: float = 2e-3,
) -> Estimate:
    """Train a critic with the gradient penalty on x (n, dim) and y (m, dim) float32, and read off its gap.

    Slopes are held at points of both sets and between them; the learning rate falls to zero as a cosine.
    With the one-sided penalty a critic that is good enough overshoots by a factor of 1 + W / (2 penalty).
    """
    if x.shape[1:] != y.shape[1:] or x.dim() != 2:
        raise DataError(
            f"critic_distance: x {tuple(x.shape)} and y {tuple(y.shape)} have to be (n, dim), (m, dim)"
        )
    critic = mlp([x.shape[1], width, width, 1], randomness=randomness)
    optimiser = torch.optim.Adam(critic.parameters(), lr=learning_rate, betas=(0.5, 0.9), fused=True)
    share = torch.full((batch_size,), 1 / batch_size)
    weights = torch.cat([-share, share, torch.zeros_like(share)])
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
        a, b = _draw(x, batch_size, randomness), _draw(y, batch_size, randomness)
        points = wdgrl_points(a, b, torch.rand(batch_size, generator=randomness))
        found = penalised_gradients(critic, points, weights, penalty, one_sided=one_sided)
        for parameter, gradient in zip(critic.parameters(), found.parameters, strict=True):
            parameter.grad = gradient
        optimiser.step()
    with torch.no_grad():
        on_x, on_y = critic(x).reshape(-1).double(), critic(y).reshape(-1).double()
    bound, slope = wasserstein.slope_bound(on_x, on_y, x, y)
    return Estimate(float(on_x.mean() - on_y.mean()), bound, slope)


def fixed_pairs(count: int, randomness: torch.Generator) -> list[tuple[str, Tensor, Tensor]]:
    """Twelve pairs of `count` points in the plane, named, with distances from about 0.05 to 2.

    Shifts, spreads, rotated rings and mixtures whose modes or shares differ.
    """

    def cloud() -> Tensor:
        return torch.randn(count, 2, generator=randomness)

    def ring(radius: float) -> Tensor:
        angle = 2 * math.pi * torch.rand(count, generator=randomness)
        return radius * torch.stack([angle.cos(), angle.sin()], dim=1) + 0.02 * cloud()

    def two(share: float, apart: float) -> Tensor:
        right = (torch.rand(count, generator=randomness) < share).float()
        return 0.1 * cloud() + torch.stack([apart * (right - 0.5), torch.zeros(count)], dim=1)

    base = cloud()
    pairs = [
        (f"shift by {by}", 0.3 * base, 0.3 * base + torch.tensor([by, 0.0]))
        for by in (0.05, 0.2, 0.5, 1.0, 2.0)
    ]
    pairs += [(f"spread 0.3 and {spread}", 0.3 * cloud(), spread * cloud()) for spread in (0.5, 1.0, 1.5)]
    pairs += [(f"rings of radius 1 and {radius}", ring(1.0), ring(radius)) for radius in (0.6, 1.8)]
    pairs += [("two modes, shares 50 and 80 %", two(0.5, 2.0), two(0.8, 2.0))]
    pairs += [("two modes and their middle", two(0.5, 2.0), 0.1 * cloud())]
    return pairs


@dataclass(frozen=True)
class Calibration:
    """The critic's estimates against exact values, pair by pair."""

    names: list[str]
    exact: np.ndarray
    estimated: np.ndarray

    @property
    def correlation(self) -> float:
        return float(np.corrcoef(self.exact, self.estimated)[0, 1])

    @property
    def ratios(self) -> np.ndarray:
        return self.estimated / self.exact


def calibrate(
    *, one_sided: bool, seed: int = 0, count: int = 500, steps: int = 1500, penalty: float = 10.0
) -> Calibration:
    """Estimate and compute the distance of every fixed pair."""
    pairs = fixed_pairs(count, torch.Generator().manual_seed(seed))
    exact = [wasserstein.exact(x, y).value for _, x, y in pairs]
    randomness = torch.Generator().manual_seed(seed + 1)
    estimated = [
        critic_distance(x, y, randomness=randomness, one_sided=one_sided, steps=steps, penalty=penalty).value
        for _, x, y in pairs
    ]
    return Calibration([name for name, _, _ in pairs], np.array(exact), np.array(estimated))


def _draw(points: Tensor, count: int, randomness: torch.Generator) -> Tensor:
    return points[torch.randint(len(points), (count,), generator=randomness)]
