"""[GAN-7]: freeze a generator, train a fresh discriminator against it, and watch the generator's gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from adversarial import methods, objectives, toys
from adversarial.experiments.style import CYCLE, new_figure
from adversarial.networks import critic_network, generator_network
from adversarial.trainer import Draw, Trainer

EPOCHS = (1, 10, 25)
STEPS_PER_EPOCH = 40
DIM, NOISE_DIM, WIDTH, BATCH = 32, 2, 64, 64
DRAWS = 10
"""Batches of noise that the variance of the gradient is taken over."""


@dataclass(frozen=True)
class Result:
    """Over the discriminator's iterations, one row for each of EPOCHS."""

    iterations: np.ndarray
    saturating: np.ndarray
    """Norm of the mean gradient under GAN-2, (epochs, iterations)."""
    non_saturating: np.ndarray
    """The same under GAN-3."""
    variance: np.ndarray
    """Variance of the gradient under GAN-3 over batches, summed over parameters."""


def run(*, seed: int = 0, effort: float = 1.0) -> Result:
    """After each of EPOCHS, freeze and train a fresh discriminator for 1,000 * effort iterations."""
    randomness = torch.Generator().manual_seed(seed)
    draw_real = _curved_world(randomness)
    generator = generator_network(NOISE_DIM, WIDTH, 2, DIM, randomness)
    trainer = Trainer(
        methods.NS_GAN,
        generator,
        critic_network(DIM, WIDTH, 2, randomness),
        draw_real,
        noise_dim=NOISE_DIM,
        batch_size=BATCH,
        randomness=randomness,
    )
    epoch_steps = max(1, round(STEPS_PER_EPOCH * effort))
    iterations = max(2, round(1000 * effort))
    marks = np.unique(np.geomspace(1, iterations, 25).astype(int))
    measured = []
    for epochs in EPOCHS:
        trainer.run(epochs * epoch_steps - len(trainer.history))
        measured.append(_against_fresh_discriminator(generator, draw_real, marks, randomness))
    columns = np.array(measured)  # (epochs, marks, 3)
    return Result(marks, columns[:, :, 0], columns[:, :, 1], columns[:, :, 2])


def draw(result: Result) -> Figure:
    """Gradient norms under both losses and the variance under the second, all on logarithmic scales."""
    figure, panels = new_figure(1, 3)
    for axes, values, title in zip(
        panels,
        (result.saturating, result.non_saturating, result.variance),
        ("Gradient norm, loss log(1 - D)", "Gradient norm, loss -log D", "Gradient variance, loss -log D"),
        strict=True,
    ):
        for row, epochs, colour in zip(values, EPOCHS, CYCLE, strict=False):
            name = f"after {epochs} epoch{'s' if epochs > 1 else ''}"
            axes.loglog(result.iterations, row, color=colour, label=name)
        axes.set(title=title, xlabel="iterations of the fresh discriminator")
    panels[0].legend()
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    fall = result.saturating[:, 0] / result.saturating[:, -1]
    growth = result.non_saturating[:, -1] / result.non_saturating[:, 0]
    spread = result.variance[:, -1] / result.variance[:, 0]
    return (
        "A generator is trained for 1, 10 and 25 epochs and frozen; then a discriminator learns from scratch "
        "against it. Real and generated data lie on two-dimensional surfaces in 32 dimensions, so that it can "
        "become perfect. Left: the better it gets, the less the saturating loss tells the generator: between the "
        f"first and the last iteration the gradient shrinks {_times(fall)}. Middle and right: the usual "
        f"repair, -log D, has the opposite illness: its gradient grows {_times(growth)} and the variance over "
        f"batches {_times(spread)}. (The three numbers: after 1, 10 and 25 epochs.)"
    )


def _times(ratios: np.ndarray) -> str:
    return ", ".join(f"{ratio:,.3g}" for ratio in ratios) + " times"


def _curved_world(randomness: torch.Generator) -> Draw:
    """Eight Gaussians bent into DIM dimensions by a fixed smooth map."""
    mixture = toys.eight_gaussians()
    directions = torch.randn(2, DIM, generator=randomness)

    def draw_real(count: int, source: torch.Generator) -> Tensor:
        return torch.sin(mixture.draw(count, source) @ directions)

    return draw_real


def _against_fresh_discriminator(
    generator: nn.Module, draw_real: Draw, marks: np.ndarray, randomness: torch.Generator
) -> list[tuple[float, float, float]]:
    discriminator = critic_network(DIM, WIDTH, 2, randomness)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9))
    noise = torch.randn(DRAWS, BATCH, NOISE_DIM, generator=randomness)
    measured = []
    for iteration in range(1, int(marks[-1]) + 1):
        with torch.no_grad():
            generated = generator(torch.randn(BATCH, NOISE_DIM, generator=randomness))
        on_real = objectives.discriminator_on_real(discriminator(draw_real(BATCH, randomness)))
        on_generated = objectives.discriminator_on_generated(discriminator(generated))
        optimiser.zero_grad()
        (on_real.mean() + on_generated.mean()).backward()
        optimiser.step()
        if iteration in marks:
            measured.append(_gradients(generator, discriminator, noise))
    return measured


def _gradients(generator: nn.Module, discriminator: nn.Module, noise: Tensor) -> tuple[float, float, float]:
    """Norms of the mean gradient under both losses, and the summed variance under the second."""
    saturating, repaired = (
        torch.stack([_gradient(loss, generator, discriminator, batch) for batch in noise])
        for loss in (objectives.generator_saturating, objectives.generator_non_saturating)
    )
    return (
        float(saturating.mean(dim=0).norm()),
        float(repaired.mean(dim=0).norm()),
        float(repaired.var(dim=0).sum()),
    )


def _gradient(loss: methods.Loss, generator: nn.Module, discriminator: nn.Module, noise: Tensor) -> Tensor:
    value = loss(discriminator(generator(noise))).mean()
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(generator.parameters()))])
