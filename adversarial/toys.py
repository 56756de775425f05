"""Two-dimensional worlds whose right answer can be seen, and a pair of domains whose shift is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adversarial.errors import SettingError


@dataclass(frozen=True)
class Mixture:
    """Equal shares of round Gaussians. `spacing` is the smallest distance between two centres."""

    name: str
    centres: Tensor
    spread: float

    @property
    def spacing(self) -> float:
        return float(torch.pdist(self.centres).min())

    def draw(self, count: int, randomness: torch.Generator) -> Tensor:
        """(count, 2) samples."""
        rows = torch.randint(len(self.centres), (count,), generator=randomness)
        return self.centres[rows] + self.spread * torch.randn(count, 2, generator=randomness)


def covered_modes(mixture: Mixture, points: Tensor) -> int:
    """How many centres get at least a fifth of their fair share of the points.

    A point counts for a centre that lies within a quarter of the spacing.
    """
    distance, nearest = torch.cdist(points, mixture.centres).min(dim=1)
    close = nearest[distance <= mixture.spacing / 4]
    counts = torch.bincount(close, minlength=len(mixture.centres))
    return int((counts >= 0.2 * len(points) / len(mixture.centres)).sum())


def eight_gaussians() -> Mixture:
    """Eight centres on a circle of radius sqrt(2)."""
    angle = torch.arange(8) * (2 * math.pi / 8)
    centres = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Mixture("8 Gaussians", centres, spread=0.02 / math.sqrt(2))


def twenty_five_gaussians() -> Mixture:
    """A five by five grid with spacing 1 / sqrt(2)."""
    places = torch.arange(-2.0, 3.0) / math.sqrt(2)
    return Mixture("25 Gaussians", torch.cartesian_prod(places, places), spread=0.05 / (2 * math.sqrt(2)))


@dataclass(frozen=True)
class SwissRoll:
    """A spiral of one and a half turns with a little noise, scaled to a radius of about two."""

    name: str = "swiss roll"
    noise: float = 0.03

    def draw(self, count: int, randomness: torch.Generator) -> Tensor:
        """(count, 2) samples."""
        angle = 1.5 * math.pi * (1 + 2 * torch.rand(count, generator=randomness))
        spiral = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1) / 7.5
        return spiral + self.noise * torch.randn(count, 2, generator=randomness)


WORLDS: dict[str, Callable[[], Mixture | SwissRoll]] = {
    "8gaussians": eight_gaussians,
    "25gaussians": twenty_five_gaussians,
    "swissroll": SwissRoll,
}


def world(name: str) -> Mixture | SwissRoll:
    """The world of that name. Raises SettingError."""
    if name not in WORLDS:
        raise SettingError(f"no world named {name!r}; there are {', '.join(WORLDS)}")
    return WORLDS[name]()


@dataclass(frozen=True)
class Domains:
    """A labelled source, a target that is the same up to a shift, and the labels nobody may train on."""

    source: Tensor
    source_labels: Tensor
    target: Tensor
    target_labels: Tensor


def shifted_clusters(
    count: int, *, shift: float, randomness: torch.Generator, noise_columns: int = 8
) -> Domains:
    """Two classes told apart along a slanted axis, and a target that is moved so that they mislead.

    count: rows of each domain. Columns 0 and 1 carry the class, the rest is noise. The target is moved by
    `shift` times the direction (1, 0), against which the boundary is slanted: a classifier of the source
    alone loses about half of one target class once the shift passes the distance between the classes.
    """

    def domain(offset: float) -> tuple[Tensor, Tensor]:
        labels = torch.randint(2, (count,), generator=randomness)
        points = 0.5 * torch.randn(count, 2 + noise_columns, generator=randomness)
        signs = 2.0 * labels - 1.0
        points[:, 0] += signs + offset
        points[:, 1] += signs
        return points, labels

    source, source_labels = domain(0.0)
    target, target_labels = domain(shift)
    return Domains(source, source_labels, target, target_labels)
