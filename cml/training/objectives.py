"""Which loss a name stands for: the one place where configuration becomes behaviour.

An objective is a row loss for autograd (`cml.training.losses`, readable) and, where worth it, the same loss with its
gradient written out (`cml.training.gradients`, fast). A new loss needs only the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cml.config import TrainConfig
from cml.errors import ConfigError
from cml.training import gradients, losses

# (d_pos (batch,), d_neg (batch, negatives), eligible (batch, negatives), n_eligible (batch,)) -> (batch,)
RowLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """A loss on squared distances, for one row of negatives per positive, and its fast gradient if it has one."""

    row_loss: RowLoss
    gradient: gradients.Gradient | None = None


def make_objective(config: TrainConfig) -> Objective:
    """The objective that the configuration names."""
    return OBJECTIVES[config.loss](config)


def _mean_over_eligible(values: Tensor, eligible: Tensor) -> Tensor:
    return torch.where(eligible, values, 0.0).sum(1) / eligible.sum(1).clamp(min=1)


def _plain(squared: Tensor) -> Tensor:
    """Distances; where two points coincide the slope is zero, not infinite."""
    return squared.clamp(min=1e-24).sqrt()


def _contrastive(config: TrainConfig) -> Objective:
    def rows(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, _: Tensor) -> Tensor:
        pull = losses.contrastive(
            _plain(d_pos), torch.ones_like(d_pos, dtype=torch.bool), margin=config.margin
        )
        push = losses.contrastive(_plain(d_neg), torch.zeros_like(eligible), margin=config.margin)
        return pull + _mean_over_eligible(push, eligible)

    return Objective(rows, gradients.ByPair(gradients.contrastive_rule(config.margin)))


def _triplet(config: TrainConfig) -> Objective:
    return _triplet_family(config, losses.triplet, pull=0.0)


def _improved_triplet(config: TrainConfig) -> Objective:
    return _triplet_family(config, losses.improved_triplet, pull=1.0)


def _triplet_family(config: TrainConfig, loss: Callable[..., Tensor], *, pull: float) -> Objective:
    def rows(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, _: Tensor) -> Tensor:
        if not config.squared:
            d_pos, d_neg = _plain(d_pos), _plain(d_neg)
        return _mean_over_eligible(loss(d_pos, d_neg, margin=config.margin), eligible)

    rule = gradients.triplet_rule(config.margin, squared=config.squared, pull=pull)
    return Objective(rows, gradients.ByPair(rule))


def _lmnn(config: TrainConfig) -> Objective:
    def rows(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, _: Tensor) -> Tensor:
        return losses.lmnn(d_pos, d_neg, eligible, push=config.push)

    return Objective(rows, gradients.ByPair(gradients.lmnn_rule(config.push)))


def _warp(config: TrainConfig) -> Objective:
    if config.rank == "exact" and config.negatives != "all":
        raise ConfigError(
            "train.rank = 'exact' counts impostors over the whole catalogue: set train.negatives = 'all' with it"
        )
    hinge = {"hardest": losses.hardest_hinge, "first": losses.first_hinge, "mean": losses.mean_hinge}[
        config.impostor
    ]
    margin = config.margin

    def rank(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor) -> Tensor:
        if config.rank == "exact":
            return losses.exact_rank(d_pos, d_neg, eligible, margin=margin)
        estimate = losses.parallel_rank if config.rank == "parallel" else losses.sequential_rank
        return estimate(d_pos, d_neg, eligible, n_eligible, margin=margin)

    def rows(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor) -> Tensor:
        weight = losses.rank_weight(rank(d_pos, d_neg, eligible, n_eligible)).detach()
        return weight * hinge(d_pos, d_neg, eligible, margin=margin)

    rule = gradients.warp_rule(margin, rank=config.rank, impostor=config.impostor)
    return Objective(rows, gradients.ByPair(rule))


def _smooth_warp(config: TrainConfig) -> Objective:
    temperature = config.temperature
    if temperature is None:
        raise ConfigError(
            "train.temperature is left to the data, which is not known here: see cml.training.rules.resolved"
        )

    def rows(d_pos: Tensor, d_neg: Tensor, eligible: Tensor, n_eligible: Tensor) -> Tensor:
        return losses.smooth_warp(d_pos, d_neg, eligible, n_eligible, temperature=temperature)

    return Objective(rows, gradients.SmoothWarp(temperature))


OBJECTIVES: dict[str, Callable[[TrainConfig], Objective]] = {
    "smooth-warp": _smooth_warp,
    "warp": _warp,
    "contrastive": _contrastive,
    "triplet": _triplet,
    "improved-triplet": _improved_triplet,
    "lmnn": _lmnn,
}
