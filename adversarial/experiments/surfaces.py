"""What a critic has learned of three worlds: its level sets under clipping and under the penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from adversarial import methods, objectives, toys
from adversarial.experiments.fixed_pair import noisy, train_critic
from adversarial.experiments.style import ORANGE, new_figure, scatter, square
from adversarial.networks import critic_network

LIMIT, GRID, NOISE = 2.3, 90, 1.0
KINDS = {"clipped at 0.01": methods.WGAN, "gradient penalty": methods.WGAN_GP}


@dataclass(frozen=True)
class Surface:
    """A critic's scores on a grid over [-LIMIT, LIMIT]^2, with the data and its slopes there."""

    scores: np.ndarray
    """(GRID, GRID), rows from bottom to top."""
    data: np.ndarray
    slopes: np.ndarray
    """||grad f|| between data and noise, (n,)."""


@dataclass(frozen=True)
class Result:
    """surfaces[constraint][world]."""

    surfaces: dict[str, dict[str, Surface]]


def run(*, seed: int = 0, effort: float = 1.0) -> Result:
    """Train a critic for 1,500 * effort steps per world and constraint, data against a noisy copy."""
    steps = max(1, round(1500 * effort))
    return Result(
        {
            kind: {name: _surface(method, name, steps, seed) for name in toys.WORLDS}
            for kind, method in KINDS.items()
        }
    )


def draw(result: Result) -> Figure:
    """A row for each constraint, a column for each world."""
    figure, panels = new_figure(len(result.surfaces), len(toys.WORLDS), width=9.5, height=3.2)
    axis = np.linspace(-LIMIT, LIMIT, GRID)
    for row, (kind, by_world) in zip(panels, result.surfaces.items(), strict=True):
        for axes, (name, surface) in zip(row, by_world.items(), strict=True):
            axes.contourf(axis, axis, surface.scores, levels=18, cmap="viridis")
            axes.contour(axis, axis, surface.scores, levels=18, colors="white", linewidths=0.3, alpha=0.6)
            scatter(axes, surface.data, ORANGE, size=4)
            square(axes, LIMIT)
            axes.set_title(f"{toys.world(name).name}, {kind}", fontsize=9)
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    medians = {
        kind: ", ".join(f"{np.median(surface.slopes):.2g}" for surface in by_world.values())
        for kind, by_world in result.surfaces.items()
    }
    slopes = "; ".join(f"{kind}: {values}" for kind, values in medians.items())
    return (
        "Bright is a high score, each panel on a scale of its own; dots are real data; generated data is real "
        "data plus noise and stays where it is. The clipped critic is one low hill over the middle of the data, "
        "because its weights are spent at their bounds. The penalised critic bends towards the data: on 8 "
        "Gaussians its level sets are stars, so that along the circle it is higher at the modes than between "
        "them (and highest in the middle), on 25 Gaussians its level sets bulge at the modes, on the swiss roll "
        f"its ridge follows the inner turn. Median slopes between data and noise, world by world: {slopes}; the "
        "penalty asks for 1."
    )


def _surface(method: methods.Method, name: str, steps: int, seed: int) -> Surface:
    randomness = torch.Generator().manual_seed(seed)
    critic = critic_network(2, 128, 3, randomness)
    world = toys.world(name)
    train_critic(
        method,
        critic,
        world.draw,
        noisy(world.draw, NOISE),
        steps=steps,
        batch_size=256,
        randomness=randomness,
        learning_rate=1e-3,
    )
    axis = torch.linspace(-LIMIT, LIMIT, GRID)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    with torch.no_grad():
        scores = critic(torch.stack([x.flatten(), y.flatten()], dim=1)).reshape(GRID, GRID).numpy()
        real, generated = world.draw(500, randomness), noisy(world.draw, NOISE)(500, randomness)
        between = objectives.interpolate(real, generated, torch.rand(500, generator=randomness))
        slopes = objectives.input_slopes(critic, between).numpy()
    return Surface(scores, real.numpy(), slopes)
