"""Settings that depend on the data when they are not given."""

from __future__ import annotations

from cml.config import RunConfig

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.1, 0.6  # in squared radii
REGULARIZATION = 0.02  # of the closed-form start where validation data cannot choose it
MOST_VISITS = 4
EPOCH_DISTANCES = 400_000_000  # from users to the pool


def temperature_for(n_users: int, n_items: int, n_positives: int) -> float:
    """The fourth root of the density of likes, within bounds: a rule of thumb for the unit ball.

    A sparse catalogue needs a sharp loss, since a user's few items must stand out among many; a dense one a
    smooth one. docs/training.md shows how the rule compares with tuning.
    """
    density = n_positives / (n_users * n_items)
    return round(min(max(density**0.25, LEAST_TEMPERATURE), MOST_TEMPERATURE), 4)


def visits_for(n_users: int, n_items: int, pool: int) -> int:
    """As many visits a user as keep an epoch within `EPOCH_DISTANCES`, at most four and at least one.

    Small data gain from several visits, large ones need the time for epochs.
    """
    return min(max(EPOCH_DISTANCES // (n_users * min(pool, n_items)), 1), MOST_VISITS)


def resolved(config: RunConfig, n_users: int, n_items: int, n_positives: int) -> RunConfig:
    """The configuration with everything that was left to the data decided by it."""
    decided: dict[str, float] = {}
    if config.train.temperature is None:
        scale = (config.model.radius or 1.0) ** 2
        decided["temperature"] = temperature_for(n_users, n_items, n_positives) * scale
    if config.train.visits is None:
        decided["visits"] = visits_for(n_users, n_items, config.train.pool)
    return config.model_copy(update={"train": config.train.model_copy(update=decided)})
