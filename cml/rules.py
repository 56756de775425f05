"""Settings that depend on the data when they are not given."""

from __future__ import annotations

from cml.config import RunConfig

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.1, 0.6


def temperature_for(n_users: int, n_items: int, n_positives: int) -> float:
    """The fourth root of the density of likes, within bounds: a rule of thumb for the unit ball.

    A sparse catalogue needs a sharp loss, since a user's few items must stand out among many; a dense one a
    smooth one. docs/training.md shows how the rule compares with tuning.
    """
    density = n_positives / (n_users * n_items)
    return round(min(max(density**0.25, LEAST_TEMPERATURE), MOST_TEMPERATURE), 4)


def resolved(config: RunConfig, n_users: int, n_items: int, n_positives: int) -> RunConfig:
    """The configuration with everything that was left to the data decided by it."""
    if config.train.temperature is not None:
        return config
    temperature = temperature_for(n_users, n_items, n_positives) * (config.model.radius or 1.0) ** 2
    return config.model_copy(update={"train": config.train.model_copy(update={"temperature": temperature})})
