"""Train a critic alone, against a generated distribution that does not move."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from adversarial.methods import Method, clip_parameters

Draw = Callable[[int, torch.Generator], Tensor]


def noisy(draw: Draw, spread: float = 1.0) -> Draw:
    """The same points with Gaussian noise added: a stand-in for a generator that has come near."""

    def draw_noisy(count: int, randomness: torch.Generator) -> Tensor:
        points = draw(count, randomness)
        return points + spread * torch.randn(points.shape, generator=randomness)

    return draw_noisy


def train_critic(
    method: Method,
    critic: nn.Module,
    real: Draw,
    generated: Draw,
    *,
    steps: int,
    batch_size: int,
    randomness: torch.Generator,
    learning_rate: float | None = None,
) -> None:
    """`steps` critic steps of `method`, in place. learning_rate replaces the method's own."""
    optimiser = method.optimiser(critic.parameters())
    for group in optimiser.param_groups:
        group["lr"] = learning_rate if learning_rate is not None else group["lr"]
    for _ in range(steps):
        a, b = real(batch_size, randomness), generated(batch_size, randomness)
        loss = method.on_real(critic(a)).mean() + method.on_generated(critic(b)).mean()
        if method.penalty is not None:
            loss = loss + method.penalty(critic, a, b, randomness).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if method.clip is not None:
            clip_parameters(critic, method.clip)
