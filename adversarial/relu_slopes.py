"""The input gradient of a ReLU network without automatic differentiation.

A ReLU network is linear around almost every point, so its gradient there is a product of weight matrices
with the inactive units' rows struck out. Written out, the gradient penalty needs one backward pass instead
of a double one, which is what makes critic steps on small networks cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from adversarial.errors import DataError


def forward_with_gradient(network: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (batch,) and d score / d point (batch, dim) of a ReLU network with one output.

    network: an `nn.Sequential` of Linear, ReLU and LeakyReLU layers. Both results are differentiable with
    respect to the weights, and equal to what double backward gives (at kinks too: PyTorch's convention that
    a unit at exactly zero is inactive). Raises DataError for any other layer.
    """
    layers = _layers(network)
    hidden, inputs = points, []
    for layer in layers:
        inputs.append(hidden)
        hidden = layer(hidden)
    gradient = torch.ones_like(hidden)
    for layer, seen in zip(reversed(layers), reversed(inputs), strict=True):
        gradient = _through(layer, seen, gradient)
    return hidden.reshape(len(points)), gradient


def _layers(network: nn.Module) -> Sequence[nn.Module]:
    layers = list(network) if isinstance(network, nn.Sequential) else []
    known = all(isinstance(layer, nn.Linear | nn.ReLU | nn.LeakyReLU) for layer in layers)
    if not layers or not known or not isinstance(layers[-1], nn.Linear) or layers[-1].out_features != 1:
        raise DataError(
            f"forward_with_gradient: {type(network).__name__} is not a Sequential of Linear, ReLU and "
            "LeakyReLU that ends in one output; use objectives.gradient_penalty, which takes any critic"
        )
    return layers


def _through(layer: nn.Module, seen: Tensor, gradient: Tensor) -> Tensor:
    """The gradient before `layer`, given the one behind it and the input that the layer saw."""
    if isinstance(layer, nn.Linear):
        return gradient @ layer.weight
    slope_of_inactive = layer.negative_slope if isinstance(layer, nn.LeakyReLU) else 0.0
    return torch.where(seen > 0, gradient, gradient * slope_of_inactive)
