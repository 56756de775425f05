"""Small fully connected networks whose starting weights come from a generator that is handed in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn


def mlp(
    widths: Sequence[int],
    *,
    randomness: torch.Generator,
    activation: Callable[[], nn.Module] = nn.ReLU,
    bias: float = 0.0,
) -> nn.Sequential:
    """Linear layers of the given widths, inputs first, with an activation between each two.

    Weights start truncated normal with standard deviation sqrt(2 / fan_in), biases at `bias`.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        start_weights(layer.weight, fan_in, randomness)
        nn.init.constant_(layer.bias, bias)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def start_weights(weight: torch.Tensor, fan_in: int, randomness: torch.Generator) -> None:
    """Fill in place: normal with standard deviation sqrt(2 / fan_in), cut off at two of them."""
    spread = math.sqrt(2 / fan_in)
    nn.init.trunc_normal_(weight, std=spread, a=-2 * spread, b=2 * spread, generator=randomness)


def generator_network(
    noise_dim: int, width: int, depth: int, dim: int, randomness: torch.Generator
) -> nn.Module:
    """Noise (batch, noise_dim) to points (batch, dim), `depth` hidden layers of `width`."""
    return mlp([noise_dim, *[width] * depth, dim], randomness=randomness)


def critic_network(dim: int, width: int, depth: int, randomness: torch.Generator) -> nn.Module:
    """Points (batch, dim) to scores or logits (batch, 1).

    Without batch normalisation, under which a sample would have no slope of its own.
    """
    return mlp([dim, *[width] * depth, 1], randomness=randomness)
