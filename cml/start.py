"""Where training starts: random points, or a closed-form solution lifted exactly into the ball."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from cml.config import ModelConfig
from cml.space import Space


def starting_space(positives: csr_array, config: ModelConfig, rng: np.random.Generator) -> Space:
    """The space that the configuration asks for, over (n_users, n_items) positives."""
    n_users, n_items = positives.shape
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return Space.random(n_users, n_items, config.dim, config.radius, generator)
