"""Losses with their gradients written out, for the hot path: no autograd over batch x negatives.

Each rule takes the squared distances of a batch and says how the loss changes with each of them. An ineligible
negative stands at infinite distance: it violates no margin and has no weight in a sum of exponentials. The
readable twins, for autograd, are in `cml.training.losses`; tests hold the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

PAIR_CHUNK_ELEMENTS = (
    4_000_000  # distances of pairs to negatives held at once by rules that work pair by pair
)


@dataclass(frozen=True)
class SquaredDistances:
    """What a batch looks like to a loss. Rows of `negative` are users, or positives if each draws its own."""

    positive: Tensor  # (batch,)
    negative: Tensor  # (rows, negatives), inf where ineligible
    owner: Tensor  # (batch,) row of `negative` of each positive
    drawn: Tensor  # (rows,) eligible negatives in each row
    n_eligible: Tensor  # (rows,) eligible items in the whole catalogue


@dataclass(frozen=True)
class Slopes:
    """The loss of each positive, and the derivative of their weighted sum by each squared distance."""

    loss: Tensor  # (batch,) unweighted
    positive: Tensor  # (batch,)
    negative: Tensor  # (rows, negatives)


class Gradient(Protocol):
    """A loss with its derivatives. weights: (batch,). May overwrite `distances.negative`."""

    def __call__(self, distances: SquaredDistances, weights: Tensor, /) -> Slopes: ...


class PairRule(Protocol):
    """Loss (batch,), and derivatives by d_pos (batch,) and d_neg (batch, negatives), for positives on their own."""

    def __call__(
        self, d_pos: Tensor, d_neg: Tensor, drawn: Tensor, n_eligible: Tensor, /
    ) -> tuple[Tensor, Tensor, Tensor]: ...


@dataclass(frozen=True)
class SmoothWarp:
    """Smooth WARP [CML-6]. All positives of a user share one sum of exponentials, so rows are users throughout."""

    temperature: float

    def __call__(self, distances: SquaredDistances, weights: Tensor) -> Slopes:
        temperature, owner = self.temperature, distances.owner
        nearest = distances.negative.amin(1).clamp(max=torch.finfo(torch.float32).max)
        masses = distances.negative.sub_(nearest[:, None]).mul_(-1 / temperature).exp_()
        total = masses.sum(1)
        correction = torch.log(distances.n_eligible / distances.drawn.clamp(min=1))
        log_mass = total.log() + correction - nearest / temperature  # of each row; -inf without a negative
        logit = distances.positive / temperature + log_mass[owner]
        slope = torch.sigmoid(logit) * weights
        per_row = torch.zeros_like(total).index_add_(0, owner, slope)
        share = torch.where(total > 0, per_row / total, 0.0)
        return Slopes(temperature * softplus(logit), slope, masses.mul_(-share[:, None]))


@dataclass(frozen=True)
class ByPair:
    """Applies a rule pair by pair, in chunks, and sums its slopes over the positives of each row."""

    rule: PairRule

    def __call__(self, distances: SquaredDistances, weights: Tensor) -> Slopes:
        batch, width = len(distances.positive), distances.negative.shape[1]
        size = max(1, PAIR_CHUNK_ELEMENTS // max(width, 1))
        losses, positives = [], []
        negative = torch.zeros_like(distances.negative)
        for start in range(0, batch, size):
            rows = distances.owner[start : start + size]
            loss, by_positive, by_negative = self.rule(
                distances.positive[start : start + size],
                distances.negative[rows],
                distances.drawn[rows],
                distances.n_eligible[rows],
            )
            weight = weights[start : start + size]
            losses.append(loss)
            positives.append(by_positive * weight)
            negative.index_add_(0, rows, by_negative.mul_(weight[:, None]))
        return Slopes(torch.cat(losses), torch.cat(positives), negative)


def contrastive_rule(margin: float) -> PairRule:
    """[ML-1] on plain distances: the liked item pulled, the mean over eligible negatives pushed."""

    def rule(d_pos: Tensor, d_neg: Tensor, drawn: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        plain = d_neg.sqrt()
        gap = (margin - plain).clamp_(min=0)
        share = 1 / drawn.clamp(min=1)
        loss = d_pos + gap.square().sum(1) * share
        by_negative = -gap / plain.clamp(min=1e-12) * share[:, None]
        return loss, torch.ones_like(d_pos), by_negative

    return rule


def triplet_rule(margin: float, *, squared: bool, pull: float) -> PairRule:
    """[ML-2] (pull 0) and [ML-3] (pull 1), averaged over the eligible negatives, on squared or plain distances."""

    def rule(d_pos: Tensor, d_neg: Tensor, drawn: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        positive, negative = (d_pos, d_neg) if squared else (d_pos.sqrt(), d_neg.sqrt())
        hinge = (margin + positive[:, None] - negative).clamp(min=0)
        violating = (hinge > 0).to(d_pos.dtype)
        share = 1 / drawn.clamp(min=1)
        loss = pull * positive + hinge.sum(1) * share
        by_positive = pull + violating.sum(1) * share
        by_negative = violating.mul_(-share[:, None])
        if not squared:  # d sqrt(x) / dx
            by_positive = by_positive / (2 * positive.clamp(min=1e-12))
            by_negative = by_negative / (2 * negative.clamp(min=1e-12))
        return loss, by_positive, by_negative

    return rule


def lmnn_rule(push: float) -> PairRule:
    """[ML-4]: pull by the squared distance, push by the sum of unit-margin violations."""

    def rule(d_pos: Tensor, d_neg: Tensor, _: Tensor, __: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hinge = (1 + d_pos[:, None] - d_neg).clamp(min=0)
        violating = (hinge > 0).to(d_pos.dtype)
        loss = (1 - push) * d_pos + push * hinge.sum(1)
        return loss, (1 - push) + push * violating.sum(1), violating.mul_(-push)

    return rule


def warp_rule(margin: float, *, rank: str, impostor: str) -> PairRule:
    """The CML hinge [CML-1] with rank weight [CML-2]; the weight is a constant to the gradient.

    rank: how the rank is estimated, see `ranks`. impostor: which negative carries the gradient: "hardest",
    "first" in drawing order, or the "mean" over all impostors.
    """
    estimate, choose = RANKS[rank], IMPOSTORS[impostor]

    def rule(
        d_pos: Tensor, d_neg: Tensor, drawn: Tensor, n_eligible: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        hinge = (margin + d_pos[:, None] - d_neg).clamp_(min=0)
        violating = hinge > 0
        weight = torch.log1p(estimate(violating, torch.isfinite(d_neg), drawn, n_eligible).to(d_pos.dtype))
        part = choose(hinge, violating)
        return (hinge * part).sum(1) * weight, violating.any(1) * weight, part * -weight[:, None]

    return rule


def _exact(violating: Tensor, _eligible: Tensor, _drawn: Tensor, _n_eligible: Tensor) -> Tensor:
    return violating.sum(1)


def _parallel(violating: Tensor, _eligible: Tensor, drawn: Tensor, n_eligible: Tensor) -> Tensor:
    return n_eligible.long() * violating.sum(1) // drawn.long().clamp(min=1)


def _sequential(violating: Tensor, eligible: Tensor, _drawn: Tensor, n_eligible: Tensor) -> Tensor:
    first = violating.to(torch.uint8).argmax(1, keepdim=True)
    draws = eligible.cumsum(1).gather(1, first).squeeze(1)
    return torch.where(violating.any(1), (n_eligible.long() - 1) // draws.clamp(min=1), 0)


def _hardest(hinge: Tensor, violating: Tensor) -> Tensor:
    return _one_hot(hinge.argmax(1), violating)


def _first(_hinge: Tensor, violating: Tensor) -> Tensor:
    return _one_hot(violating.to(torch.uint8).argmax(1), violating)


def _mean(hinge: Tensor, violating: Tensor) -> Tensor:
    return violating.to(hinge.dtype) / violating.sum(1, keepdim=True).clamp(min=1)


def _one_hot(column: Tensor, violating: Tensor) -> Tensor:
    chosen = torch.zeros(violating.shape, device=violating.device)
    return chosen.scatter_(1, column[:, None], violating.any(1, keepdim=True).to(chosen.dtype))


RANKS = {"exact": _exact, "parallel": _parallel, "sequential": _sequential}
IMPOSTORS = {"hardest": _hardest, "first": _first, "mean": _mean}
