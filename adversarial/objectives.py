"""The losses of the GAN family and of WDGRL, as pure functions that return one value per sample.

`logits` are a discriminator's raw outputs, D(x) = sigmoid(logit); `scores` are a critic's outputs f(x), which
have no range. Every loss is to be minimised by the network it is named for; the caller reduces with a mean.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from adversarial.errors import DataError

Critic = Callable[[Tensor], Tensor]
"""Maps points (batch, ...) to one score each: (batch,) or (batch, 1)."""


def discriminator_on_real(logits: Tensor) -> Tensor:
    """-log D(x) for real samples, the first half of [GAN-1]; same shape as `logits`."""
    return functional.softplus(-logits)


def discriminator_on_generated(logits: Tensor) -> Tensor:
    """-log(1 - D(x)) for generated samples, the second half of [GAN-1]; same shape as `logits`."""
    return functional.softplus(logits)


def generator_saturating(logits: Tensor) -> Tensor:
    """log(1 - D(x)) for generated samples [GAN-2]: flat where the discriminator is sure, hence the name."""
    return -functional.softplus(logits)


def generator_non_saturating(logits: Tensor) -> Tensor:
    """-log D(x) for generated samples [GAN-3]: steep where the discriminator is sure."""
    return functional.softplus(-logits)


def critic_on_real(scores: Tensor) -> Tensor:
    """-f(x) for real samples, one half of [WGAN-1]; same shape as `scores`."""
    return -scores


def critic_on_generated(scores: Tensor) -> Tensor:
    """f(x) for generated samples, the other half of [WGAN-1]; same shape as `scores`."""
    return scores


def generator_wasserstein(scores: Tensor) -> Tensor:
    """-f(x) for generated samples [WGAN-2]; same shape as `scores`."""
    return -scores


def domain_gap(source_scores: Tensor, target_scores: Tensor) -> Tensor:
    """mean f(h_s) - mean f(h_t), a scalar [WDGRL-1]: the critic raises it, the feature extractor lowers it.

    The two sets may differ in size, which is why this is the one loss here that comes reduced.
    """
    return source_scores.mean() - target_scores.mean()


def classification_loss(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-log of the probability of the right class [WDGRL-3], (batch,).

    class_logits: (batch, classes); labels: (batch,) int64.
    """
    return functional.cross_entropy(class_logits, labels, reduction="none")


def feature_loss(points: Tensor, targets: Tensor) -> Tensor:
    """Squared Euclidean distance of each point to its target [CML-3]; both (batch, dim), returns (batch,)."""
    return (points - targets).square().sum(dim=1)


def interpolate(real: Tensor, generated: Tensor, epsilon: Tensor) -> Tensor:
    """epsilon * real + (1 - epsilon) * generated [WGAN-GP-2].

    real, generated: (batch, ...) of equal shape; epsilon: (batch,), one value for all axes of a sample.
    """
    if real.shape != generated.shape or epsilon.shape != real.shape[:1]:
        raise DataError(
            f"interpolate: real {tuple(real.shape)}, generated {tuple(generated.shape)} and epsilon "
            f"{tuple(epsilon.shape)} do not pair up; give equal shapes and one epsilon per sample"
        )
    weight = epsilon.reshape(-1, *[1] * (real.dim() - 1))
    return generated + weight * (real - generated)


def wdgrl_points(source: Tensor, target: Tensor, epsilon: Tensor) -> Tensor:
    """Where [WDGRL-2] measures slopes: at both domains' features and between them, (3 * batch, dim)."""
    return torch.cat([source, target, interpolate(source, target, epsilon)])


def input_slopes(critic: Critic, points: Tensor) -> Tensor:
    """||grad_x f(x)||_2 over all non-batch axes, (batch,), for points (batch, ...) of any rank.

    Differentiable with respect to the critic's parameters unless gradients are switched off. The points are
    only places to look at: no gradient flows back into them. Critics that mix samples (batch normalisation)
    have no slope per sample; do not use one.
    """
    if points.dim() == 0:
        raise DataError("input_slopes: points has no batch axis; give a tensor of shape (batch, ...)")
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        scores = critic(points)
        if scores.numel() != len(points):
            raise DataError(
                f"input_slopes: the critic gave shape {tuple(scores.shape)} for {len(points)} points; "
                "it has to give one score per point"
            )
        gradient = _gradient(scores, points, create_graph=differentiable)
    return euclidean_norm(gradient.reshape(len(points), points.shape[1:].numel()))


def slope_penalty(slopes: Tensor, *, one_sided: bool = False, target: float = 1.0) -> Tensor:
    """(slope - target)^2 [WGAN-GP-1], or max(0, slope - target)^2 if `one_sided` [WGAN-GP-3]; elementwise."""
    excess = slopes - target
    return (excess.clamp(min=0) if one_sided else excess).square()


def gradient_penalty(
    critic: Critic, points: Tensor, *, one_sided: bool = False, target: float = 1.0
) -> Tensor:
    """Squared deviation of the critic's slope from `target` at each point, (batch,).

    [WGAN-GP-1], one-sided [WGAN-GP-3], and the penalty of [WDGRL-2]. points: (batch, ...) of any rank. The
    slope is the 2-norm of the gradient with respect to one sample's input, so the value does not depend on
    which other samples share the batch. See `input_slopes`.
    """
    return slope_penalty(input_slopes(critic, points), one_sided=one_sided, target=target)


def euclidean_norm(rows: Tensor) -> Tensor:
    """The 2-norm of each row, (batch, n) -> (batch,), whose gradient at a zero row is zero and not NaN."""
    squared = rows.square().sum(dim=1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def _gradient(scores: Tensor, points: Tensor, *, create_graph: bool) -> Tensor:
    """d(sum of scores) / d(points), zero where the scores do not depend on the points."""
    if not scores.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=create_graph, allow_unused=True)
    return torch.zeros_like(points) if gradient is None else gradient
