"""Why a GAN's loss says nothing once the supports part, and why its other loss drops modes [GAN-4..6]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adversarial import wasserstein
from adversarial.divergences import (
    LOG_2,
    gradient_identity,
    jensen_shannon,
    kullback_leibler,
    optimal_discriminator,
    value_identity,
)
from adversarial.experiments.style import BLUE, GREY, ORANGE, new_figure

PLACES = np.linspace(-4, 4, 161)
TWO_MODES = (-1.5, 1.5)


@dataclass(frozen=True)
class Result:
    """Everything that the picture and the text show."""

    real: np.ndarray
    generated: np.ndarray
    discriminator: np.ndarray
    shifts: np.ndarray
    jensen_shannon: np.ndarray
    wasserstein: np.ndarray
    missing_mode: tuple[float, float]
    """KL(P_g || P_r) and KL(P_r || P_g) of a generator that leaves one of two modes out."""
    invented_mode: tuple[float, float]
    """The same of a generator that adds a mode where there is no data."""
    value_error: float
    """Largest difference between the two sides of [GAN-5] over random distributions."""
    gradient_error: float
    """The same for the gradients of [GAN-6]."""


def run(*, seed: int = 0, effort: float = 1.0) -> Result:
    """Compute both sides of every identity. effort: share of the random distributions tried."""
    real, generated = _bumps([-0.8]), _bumps([0.9])
    shifts = np.concatenate([[0.0], np.linspace(1e-3, 3, 31)])
    trials = [_identity_errors(seed + trial) for trial in range(max(1, round(200 * effort)))]
    errors = np.max(trials, axis=0)
    both, left, three = _bumps(TWO_MODES), _bumps(TWO_MODES[:1]), _bumps([*TWO_MODES, 0.0])
    return Result(
        real=real.numpy(),
        generated=generated.numpy(),
        discriminator=optimal_discriminator(real, generated).numpy(),
        shifts=shifts,
        jensen_shannon=np.array([_two_points(shift)[0] for shift in shifts]),
        wasserstein=np.array([_two_points(shift)[1] for shift in shifts]),
        missing_mode=(float(kullback_leibler(left, both)), float(kullback_leibler(both, left))),
        invented_mode=(float(kullback_leibler(three, both)), float(kullback_leibler(both, three))),
        value_error=float(errors[0]),
        gradient_error=float(errors[1]),
    )


def draw(result: Result) -> Figure:
    """Three panels: D*, JS against W, and the asymmetry of KL."""
    figure, (first, second, third) = new_figure(1, 3, height=3.4)
    first.fill_between(PLACES, result.real / result.real.max(), color=BLUE, alpha=0.35, label="real")
    first.fill_between(
        PLACES, result.generated / result.real.max(), color=ORANGE, alpha=0.35, label="generated"
    )
    first.plot(PLACES, result.discriminator, color="black", label="D*")
    first.set(title="The optimal discriminator", xlabel="x", ylim=(0, 1.3))
    first.legend(loc="upper center", ncol=3)
    second.plot(result.shifts, result.wasserstein, color=BLUE, label="Wasserstein")
    second.plot(result.shifts[1:], result.jensen_shannon[1:], color=ORANGE, label="Jensen-Shannon")
    second.plot([0], [0], "o", color=ORANGE, ms=5, clip_on=False)
    second.plot(result.shifts[1:2], result.jensen_shannon[1:2], "o", color=ORANGE, ms=5, mfc="white")
    second.axhline(LOG_2, color=GREY, linestyle=":", zorder=0)
    second.text(3, LOG_2 + 0.08, "log 2", ha="right", color=GREY)
    second.set(title="Two points, moved apart", xlabel="distance", ylabel="divergence")
    second.legend(loc="upper left")
    _draw_asymmetry(third, result)
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    return (
        "Left: where only real data lies the best discriminator says 1, where only generated data lies it says "
        "0, and it is flat in both places, so a generator there gets no direction. Middle: two point masses at "
        f"a growing distance. The Jensen-Shannon divergence jumps to log 2 = {LOG_2:.3f} at the first gap and "
        "stays; the Wasserstein distance is the distance. Right: a generator that leaves out one of two modes "
        f"pays KL(P_g || P_r) = {result.missing_mode[0]:.2f}, one that adds a mode where there is no data pays "
        f"{result.invented_mode[0]:.1f}, and without the overlap of the tails it would be infinite. A loss made "
        "of that divergence drops modes rather than risk inventing one. Over random distributions the two sides "
        f"of the value identity differ by at most {result.value_error:.0e}, the gradients of the second one by "
        f"{result.gradient_error:.0e}."
    )


def _bumps(centres: list[float] | tuple[float, ...], width: float = 0.25) -> torch.Tensor:
    """Equal bumps on PLACES, as probabilities."""
    density = sum(torch.exp(-((torch.from_numpy(PLACES) - c) ** 2) / (2 * width**2)) for c in centres)
    assert isinstance(density, torch.Tensor)
    return density / density.sum()


def _two_points(shift: float) -> tuple[float, float]:
    """JS and W between a unit mass at 0 and one at `shift`."""
    if shift == 0:
        return 0.0, 0.0
    real, generated = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    return float(jensen_shannon(real, generated)), wasserstein.one_dimensional([0.0], [shift])


def _identity_errors(seed: int) -> tuple[float, float]:
    randomness = torch.Generator().manual_seed(seed)
    real, logits = torch.randn(2, 6, generator=randomness, dtype=torch.float64)
    real = real.softmax(dim=0)
    left, right = value_identity(real, logits.softmax(dim=0))
    gradient, expected = gradient_identity(real, logits)
    return float((left - right).abs()), float((gradient - expected).abs().max())


def _draw_asymmetry(axes: Axes, result: Result) -> None:
    labels = ["leaves out\none mode", "adds a mode\nwhere none is"]
    forward = [result.missing_mode[0], result.invented_mode[0]]
    backward = [result.missing_mode[1], result.invented_mode[1]]
    places = np.arange(2)
    for offset, values, colour, name in (
        (-0.2, forward, ORANGE, "KL(generated || real)"),
        (0.2, backward, BLUE, "KL(real || generated)"),
    ):
        bars = axes.bar(places + offset, values, width=0.36, color=colour, label=name)
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set(title="KL is not symmetric", ylim=(0, 1.45 * max(*forward, *backward)))
    axes.set_xticks(places, labels)
    axes.legend(loc="upper center")
