"""The one place where `cml` meets the `adversarial` package: its alignments behind our `Alignment` protocol."""

from __future__ import annotations

import torch
from torch import Tensor

from cml.config import FeatureConfig
from cml.training.adaptation import Alignment

CRITIC_RATE = 1e-3  # ten times the extractor's: the critic has to be near its optimum [WDGRL-4]
_NAMES = {"wdgrl": "wdgrl", "coral": "coral", "none": "source-only"}
WASSERSTEIN = 2.0  # what a distance of one mean length costs, beside squared errors in the same unit
COVARIANCE = 100.0  # what one of [Deep CORAL]'s distances costs


def alignment_of(settings: FeatureConfig, dim: int, randomness: torch.Generator) -> Alignment:
    """The alignment that the settings name, for places of this dimension; `randomness` makes its critic."""
    from adversarial.alignments import AlignmentSettings, make_alignment

    natural = WASSERSTEIN / dim**0.5 if settings.alignment == "wdgrl" else COVARIANCE
    own = AlignmentSettings(
        weight=settings.alignment_weight * natural,
        critic_steps=settings.critic_steps,
        critic_learning_rate=CRITIC_RATE,
    )
    return make_alignment(_NAMES[settings.alignment], own, dim, randomness)


def critic_gap(source: Tensor, target: Tensor, *, steps: int, seed: int = 0) -> float:
    """mean f(h_s) - mean f(h_t) [WDGRL-1] of a fresh critic that `steps` batches of 128 have taught.

    source: (n, dim), target: (m, dim). About the Wasserstein distance, in the units of the rows.
    """
    randomness = torch.Generator().manual_seed(seed)
    weight = source.shape[1] ** 0.5 / WASSERSTEIN
    critic = alignment_of(
        FeatureConfig(alignment="wdgrl", alignment_weight=weight), source.shape[1], randomness
    )
    size = min(128, len(source), len(target))
    for _ in range(steps):
        drawn = (rows[torch.randperm(len(rows), generator=randomness)[:size]] for rows in (source, target))
        critic.learn(*drawn)
    with torch.no_grad():
        return critic.loss(source, target, 0.0).item()
