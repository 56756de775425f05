"""GAN, NS-GAN, WGAN and WGAN-GP as values: three losses, a constraint, an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from adversarial import objectives

Loss = Callable[[Tensor], Tensor]
"""Critic outputs of one kind of samples to one loss each, to be averaged and minimised."""
Penalty = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(critic, real, generated, randomness) to one value per sample, added to the critic's loss."""
Optimiser = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Method:
    """What makes a method: everything else about training is the same for all of them."""

    name: str
    on_real: Loss
    on_generated: Loss
    for_generator: Loss
    optimiser: Optimiser
    critic_steps: int = 1
    penalty: Penalty | None = None
    clip: float | None = None
    """Bound on the absolute value of every critic parameter, enforced after each critic step."""


def slope_constraint(weight: float, *, one_sided: bool = False, target: float = 1.0) -> Penalty:
    """`weight` times the gradient penalty, between real and generated samples [WGAN-GP-1..3]."""

    def penalise(critic: nn.Module, real: Tensor, generated: Tensor, randomness: torch.Generator) -> Tensor:
        epsilon = torch.rand(len(real), generator=randomness, dtype=real.dtype).to(real.device)
        points = objectives.interpolate(real, generated, epsilon)
        return weight * objectives.gradient_penalty(critic, points, one_sided=one_sided, target=target)

    return penalise


@torch.no_grad()
def clip_parameters(critic: nn.Module, bound: float) -> None:
    """Push every parameter back into [-bound, bound], in place [WGAN-1]."""
    for parameter in critic.parameters():
        parameter.clamp_(-bound, bound)


def _adam(lr: float, betas: tuple[float, float]) -> Optimiser:
    return partial(torch.optim.Adam, lr=lr, betas=betas)


GAN = Method(
    name="gan",
    on_real=objectives.discriminator_on_real,
    on_generated=objectives.discriminator_on_generated,
    for_generator=objectives.generator_saturating,
    optimiser=_adam(1e-4, (0.5, 0.9)),
)
NS_GAN = replace(GAN, name="ns-gan", for_generator=objectives.generator_non_saturating)
WGAN = Method(
    name="wgan",
    on_real=objectives.critic_on_real,
    on_generated=objectives.critic_on_generated,
    for_generator=objectives.generator_wasserstein,
    optimiser=partial(torch.optim.RMSprop, lr=5e-5),
    critic_steps=5,
    clip=0.01,
)
WGAN_GP = replace(
    WGAN, name="wgan-gp", optimiser=_adam(1e-4, (0.0, 0.9)), clip=None, penalty=slope_constraint(10.0)
)
METHODS = {method.name: method for method in (GAN, NS_GAN, WGAN, WGAN_GP)}

PLANAR_WGAN_GP = replace(WGAN_GP, optimiser=_adam(1e-4, (0.5, 0.9)), penalty=slope_constraint(0.1))
"""For two-dimensional toys, where a weight of 10 makes five critic steps oscillate."""
PLANAR_METHODS = METHODS | {"wgan-gp": PLANAR_WGAN_GP}
