"""The input gradient of a ReLU network, and the gradients of a penalised critic, without double backward.

A ReLU network is linear around almost every point, so its gradient there is a product of weight matrices
with the inactive units' rows struck out. Written out, a critic step on a small network is a handful of
matrix products: automatic differentiation spends most of its time on bookkeeping there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adversarial.errors import DataError
from adversarial.objectives import euclidean_norm


def forward_with_gradient(network: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (batch,) and d score / d point (batch, dim) of a ReLU network with one output.

    network: an `nn.Sequential` of Linear, ReLU and LeakyReLU layers. Both results are differentiable with
    respect to the weights, and equal to what double backward gives (at kinks too: PyTorch's convention that
    a unit at exactly zero is inactive). Raises DataError for any other layer.
    """
    stages, scores = _forward(network, points)
    gradient = torch.ones_like(scores)
    for stage in reversed(stages):
        gradient = (gradient * stage.slopes) @ stage.layer.weight
    return scores.reshape(len(points)), gradient


@dataclass(frozen=True)
class CriticGradients:
    """What one look at a batch of points says about a critic."""

    scores: Tensor
    slopes: Tensor
    """||grad_x f(x)||_2 at each point, (batch,)."""
    parameters: list[Tensor]
    """Gradients in the order of `network.parameters()`."""


@torch.no_grad()
def penalised_gradients(
    network: nn.Module,
    points: Tensor,
    score_weights: Tensor,
    penalty: float,
    *,
    one_sided: bool = False,
) -> CriticGradients:
    """Gradients of sum_i score_weights_i f(x_i) + penalty * mean_i (slope_i - 1)^2 for a ReLU network.

    points: (batch, dim); score_weights: (batch,); `one_sided` forgives slopes below 1. Let h be the input of
    a layer and b the derivative of the score by its output. The scores contribute b^T (weights * h) to the
    layer's gradient. The input gradient is the product of all layers, so its own derivative towards a
    direction t of input space contributes b^T t, with t pushed forward through the linear pieces that the
    point is on.
    """
    stages, scores = _forward(network, points)
    backward = _backward(stages, scores)
    gradient = backward[0] @ stages[0].layer.weight
    slopes = euclidean_norm(gradient)
    pull = 2 * penalty / len(points) * _excess_share(slopes, one_sided)
    direction = gradient * pull[:, None]
    parameters: list[Tensor] = []
    for stage, signal in zip(stages, backward, strict=True):
        weighted = score_weights[:, None] * stage.inputs
        parameters.append(signal.T @ weighted.add_(direction))
        if stage.layer.bias is not None:
            parameters.append(score_weights @ signal)
        direction = (direction @ stage.layer.weight.T).mul_(stage.slopes)
    return CriticGradients(scores.reshape(len(points)), slopes, parameters)


def _excess_share(slopes: Tensor, one_sided: bool) -> Tensor:
    """(slope - 1) / slope, the part of each gradient that is too much; 0 where the critic is flat."""
    excess = slopes - 1
    excess = excess.clamp(min=0) if one_sided else excess
    return torch.where(slopes > 0, excess / slopes.clamp(min=1e-30), 0.0)


@dataclass(frozen=True)
class _Stage:
    """A linear layer, what went in, and the slope of the activation behind it: 1 after the last."""

    layer: nn.Linear
    inputs: Tensor
    slopes: Tensor


def _forward(network: nn.Module, points: Tensor) -> tuple[list[_Stage], Tensor]:
    stages: list[_Stage] = []
    hidden = points
    for layer, activation in _pairs(network):
        before = layer(hidden)
        stages.append(_Stage(layer, hidden, _slopes(activation, before)))
        hidden = before if activation is None else activation(before)
    return stages, hidden


def _backward(stages: Sequence[_Stage], scores: Tensor) -> list[Tensor]:
    """d score / d output of each linear layer, (batch, out), first layer first."""
    signals = [torch.ones_like(scores)]
    for before, stage in zip(reversed(stages[:-1]), reversed(stages[1:]), strict=True):
        signals.append((signals[-1] @ stage.layer.weight).mul_(before.slopes))
    return signals[::-1]


def _slopes(activation: nn.Module | None, before: Tensor) -> Tensor:
    if activation is None:
        return torch.ones_like(before)
    active = (before > 0).to(before.dtype)
    if isinstance(activation, nn.LeakyReLU):
        return active + (1 - active) * activation.negative_slope
    return active


def _pairs(network: nn.Module) -> list[tuple[nn.Linear, nn.Module | None]]:
    """Each linear layer with the activation behind it, None after the last."""
    layers = list(network) if isinstance(network, nn.Sequential) else []
    linear = [layer for layer in layers[::2] if isinstance(layer, nn.Linear)]
    activations = [layer for layer in layers[1::2] if isinstance(layer, nn.ReLU | nn.LeakyReLU)]
    alternate = len(layers) % 2 == 1 and len(linear) + len(activations) == len(layers)
    if not alternate or linear[-1].out_features != 1:
        raise DataError(
            f"closed form: {type(network).__name__} is not a Sequential of Linear layers with ReLU or "
            "LeakyReLU between them that ends in one output; objectives.gradient_penalty takes any critic"
        )
    return list(zip(linear, [*activations, None], strict=True))
