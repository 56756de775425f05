"""Where training starts: random points, or a closed-form solution lifted exactly into the ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array

from cml.config import ModelConfig
from cml.training.als import factorise, lift
from cml.training.space import Space

CATALOGUE_WEIGHT = 100.0  # all items together, seen from a user, in units of one observed pair
REGULARIZATIONS = (0.008, 0.02, 0.05)  # tried where validation data can choose
REGULARIZATION = 0.02  # else
SWEEPS = 2  # a third changes no list: it only takes time

Judge = Callable[[Space], float]


@dataclass(frozen=True)
class Start:
    """Where training begins, and how strongly that was regularised; None for random points."""

    space: Space
    regularization: float | None = None


def starting_space(
    positives: csr_array, config: ModelConfig, rng: np.random.Generator, judge: Judge | None = None
) -> Start:
    """The start that the configuration asks for, over (n_users, n_items) positives.

    judge: how good a space is on validation data, higher is better. Unless the configuration says how strongly
    the closed-form start is regularised, it chooses: nothing else differs as much between data sets.
    """
    seed = int(rng.integers(2**62))
    n_users, n_items = positives.shape
    if config.start == "random" or config.radius is None or config.dim == 1:
        generator = torch.Generator().manual_seed(seed)
        return Start(Space.random(n_users, n_items, config.dim, config.radius, generator))
    strengths = REGULARIZATIONS if judge else (REGULARIZATION,)
    if config.regularization is not None:
        strengths = (config.regularization,)
    starts = (  # one after the other: only the best so far is held
        Start(_closed_form(positives, config.dim, config.radius, strength, seed), strength)
        for strength in strengths
    )
    return max(starts, key=lambda start: judge(start.space)) if judge and len(strengths) > 1 else next(starts)


def _closed_form(positives: csr_array, dim: int, radius: float, regularization: float, seed: int) -> Space:
    users, items = factorise(
        positives,
        dim - 1,  # the lift adds one
        unobserved=CATALOGUE_WEIGHT / positives.shape[1],
        regularization=regularization,
        sweeps=SWEEPS,
        generator=torch.Generator().manual_seed(seed),
    )
    return Space(*lift(users, items, radius), radius)
