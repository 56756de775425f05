"""Divergences between discrete distributions, the optimal discriminator, and the identities that link them.

Distributions are vectors of probabilities over the same places; logarithms are natural; 0 log 0 is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adversarial.objectives import generator_non_saturating

LOG_2 = math.log(2)


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """KL(P || Q) = sum p log(p / q), a scalar; infinite where p has mass and q has none."""
    return torch.special.xlogy(p, p).sum() - torch.special.xlogy(p, q).sum()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """JS(P || Q) = KL(P || M) / 2 + KL(Q || M) / 2 with M = (P + Q) / 2, between 0 and log 2 [GAN-5]."""
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def optimal_discriminator(real: Tensor, generated: Tensor) -> Tensor:
    """D*(x) = P_r(x) / (P_r(x) + P_g(x)), place by place [GAN-4]; NaN where neither has mass."""
    return real / (real + generated)


def minimax_value(real: Tensor, generated: Tensor, discriminator: Tensor) -> Tensor:
    """E_{P_r}[log D] + E_{P_g}[log(1 - D)], what the discriminator raises and GAN-2 lowers."""
    return (
        torch.special.xlogy(real, discriminator).sum()
        + torch.special.xlogy(generated, 1 - discriminator).sum()
    )


def value_identity(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides of [GAN-5]: the minimax value at D*, and 2 JS(P_r || P_g) - 2 log 2."""
    best = optimal_discriminator(real, generated).nan_to_num(0.5)  # anything: no mass is weighed there
    value = minimax_value(real, generated, best)
    return value, 2 * jensen_shannon(real, generated) - 2 * LOG_2


def gradient_identity(real: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides of [GAN-6] as gradients by `logits`, where P_g = softmax(logits).

    Left: of E_{P_g}[-log D*] with D* held fixed at the current generator. Right: of
    KL(P_g || P_r) - 2 JS(P_g || P_r). The gradients agree; the values do not.
    """
    logits = logits.detach().requires_grad_(True)
    generated = logits.softmax(dim=0)
    fixed = optimal_discriminator(real, generated.detach())
    non_saturating = (generated * generator_non_saturating(fixed.logit())).sum()
    divergence = kullback_leibler(generated, real) - 2 * jensen_shannon(generated, real)
    (left,) = torch.autograd.grad(non_saturating, logits, retain_graph=True)
    (right,) = torch.autograd.grad(divergence, logits)
    return left, right
