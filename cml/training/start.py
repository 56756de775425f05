"""Where training starts: random points, or a closed-form solution lifted exactly into the ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array

from cml.config import ModelConfig
from cml.training.als import factorise, lift
from cml.training.rules import REGULARIZATION
from cml.training.space import Space
from cml.training.temperature import temperature_of

CATALOGUE_WEIGHT = 100.0  # all items together, seen from a user, in units of one observed pair
REGULARIZATIONS = (0.008, 0.02, 0.05)  # tried where validation data can choose
SWEEPS = 2  # a third changes no list: it only takes time

Judge = Callable[[Space], float]


@dataclass(frozen=True)
class Start:
    """Where training begins, and what is known of it; random points leave both open."""

    space: Space
    regularization: float | None = None
    temperature: float | None = None  # that suits the data


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
    best, best_value, chosen = None, -np.inf, REGULARIZATION
    for strength in strengths:  # one after the other: only the best so far is held
        space = _closed_form(positives, config.dim, config.radius, strength, seed)
        value = judge(space) if judge and len(strengths) > 1 else 0.0
        if best is None or value > best_value:
            best, best_value, chosen = space, value, strength
    assert best is not None
    return Start(best, chosen, temperature_of(best, positives, chosen))


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
