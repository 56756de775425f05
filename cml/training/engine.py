"""One training step: distances by one matrix product, slopes of the loss, gradients by two more, rows moved.

Memory is O(users of the batch x pool) beyond the tables. The same step can be taken by autograd, slowly; tests
hold both to the same gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cml.training.distances import squared_distances
from cml.training.features import FeaturePrior, UserPrior
from cml.training.gradients import SquaredDistances
from cml.training.losses import covariance_penalty, feature_loss
from cml.training.objectives import Objective
from cml.training.optimizers import RowOptimizer
from cml.training.profiling import DISTANCES, DRAWING, GRADIENTS, MOVING, OFF, Profile
from cml.training.sampling import Batch, Negatives
from cml.training.space import Space

IMPOSTOR_SAMPLE = 128  # positives of a step that the impostor share is taken from


@dataclass(frozen=True)
class StepReport:
    """What a step saw, before it moved anything."""

    loss: Tensor  # (batch,) unweighted
    covariance: float  # [CML-4] over the vectors of the step; 0 when it has no weight
    impostor_share: float  # of eligible negatives that violate the margin, for the step's first positives
    features: float = 0.0  # the feature loss [CML-3] of the step's items and users, weighted


@dataclass(frozen=True)
class Gradients:
    """Gradients of a step's objective by the distinct rows it touches."""

    users: Tensor  # (n,) rows
    by_users: Tensor  # (n, dim)
    items: Tensor  # (m,) rows, distinct
    by_items: Tensor  # (m, dim)
    report: StepReport


@dataclass(frozen=True)
class Engine:
    """Computes a step's gradients and hands them to the optimisers."""

    space: Space
    objective: Objective
    user_optimizer: RowOptimizer
    item_optimizer: RowOptimizer
    covariance: float = 0.0  # weight of [CML-4], times the positives of a step
    margin: float = 0.0  # of the impostor share
    analytic: bool = True
    prior: FeaturePrior | None = None  # the feature loss of items
    user_prior: UserPrior | None = None  # and of users
    profile: Profile = OFF

    def step(self, batch: Batch, negatives: Negatives, weights: Tensor, scale: float = 1.0) -> StepReport:
        """Move the vectors that the batch touches. weights: (batch,). scale: of the learning rate."""
        gradients = self.gradients(batch, negatives, weights)
        with self.profile.stage(MOVING):
            self.user_optimizer.step(gradients.users, gradients.by_users, scale)
            self.item_optimizer.step(gradients.items, gradients.by_items, scale)
        return gradients.report

    def gradients(self, batch: Batch, negatives: Negatives, weights: Tensor) -> Gradients:
        """Gradients of `sum(weights * loss) + covariance * positives * penalty + features`; nothing is moved."""
        with self.profile.stage(DRAWING):
            view = _View.of(self.space, batch, negatives)
        if self.analytic and self.objective.gradient is not None:
            return self._analytic(view, weights)
        return self._autograd(view, weights)

    def _analytic(self, view: _View, weights: Tensor) -> Gradients:
        assert self.objective.gradient is not None
        with self.profile.stage(DISTANCES):
            users, items = self.space.users[view.users], self.space.items[view.items]
            gap = users[view.owner] - items[view.liked]
            d_neg = view.negative_distances(users, items).index_put_(view.masked, view.infinity)
            d_pos = gap.square().sum(1)
            impostor_share = _impostor_share(d_pos, d_neg, view, self.margin)  # d_neg may be overwritten next
            distances = SquaredDistances(d_pos, d_neg, view.row_of_pair, view.drawn, view.n_eligible)
            slopes = self.objective.gradient(distances, weights)
        with self.profile.stage(GRADIENTS):
            by_users, by_items = view.negative_gradients(users, items, slopes.negative)
            by_positive = 2 * slopes.positive[:, None] * gap
            by_users.index_add_(0, view.owner, by_positive)
            by_items.index_add_(0, view.liked, by_positive, alpha=-1)
            penalty = self._add_covariance(users, items, by_users, by_items, len(weights))
            drawn = 0.0
            if self.prior:
                share = self.prior.share(view.items, len(weights))
                drawn += self.prior.add_gradient(view.items, items, by_items, share)
            if self.user_prior:
                share = self.user_prior.share_of(view.users, view.owner, weights)
                drawn += self.user_prior.add_gradient(view.users, users, by_users, share)
        report = StepReport(slopes.loss, penalty, impostor_share, drawn)
        return Gradients(view.users, by_users, view.items, by_items, report)

    def _add_covariance(
        self, users: Tensor, items: Tensor, by_users: Tensor, by_items: Tensor, positives: int
    ) -> float:
        if not self.covariance:
            return 0.0
        points = torch.cat([users, items])
        centred = points - points.mean(0)
        off_diagonal = (centred.T @ centred / len(points)).fill_diagonal_(0)
        slope = centred @ off_diagonal * (4 * self.covariance * positives / len(points) ** 2)
        by_users += slope[: len(users)]
        by_items += slope[len(users) :]
        return float(off_diagonal.square().sum() / len(points))

    def _autograd(self, view: _View, weights: Tensor) -> Gradients:
        with self.profile.stage(DISTANCES):
            users = self.space.users[view.users].requires_grad_()
            items = self.space.items[view.items].requires_grad_()
            d_pos = (users[view.owner] - items[view.liked]).square().sum(1)
            rows = view.row_of_pair
            d_neg = view.negative_distances(users, items)
            bounded = d_neg.detach().index_put(view.masked, view.infinity)
            impostor_share = _impostor_share(d_pos.detach(), bounded, view, self.margin)
            eligible = torch.ones(view.shape, dtype=torch.bool, device=users.device)
            eligible.index_put_(view.masked, torch.tensor(False, device=users.device))
            loss = self.objective.row_loss(d_pos, d_neg[rows], eligible[rows], view.n_eligible[rows])
        with self.profile.stage(GRADIENTS):
            total = (loss * weights).sum()
            penalty = covariance_penalty(torch.cat([users, items])) if self.covariance else torch.zeros(())
            drawn = torch.zeros(())
            if self.prior:
                distances = feature_loss(self.prior.places[view.items], items)
                drawn = drawn + (distances * self.prior.share(view.items, len(weights))).sum()
            if self.user_prior:
                distances = feature_loss(self.user_prior.places[view.users], users)
                drawn = drawn + (distances * self.user_prior.share_of(view.users, view.owner, weights)).sum()
            by_users, by_items = torch.autograd.grad(
                total + self.covariance * len(weights) * penalty + drawn, (users, items)
            )
        report = StepReport(loss.detach(), float(penalty.detach()), impostor_share, float(drawn.detach()))
        return Gradients(view.users, by_users, view.items, by_items, report)


def _impostor_share(d_pos: Tensor, d_neg: Tensor, view: _View, margin: float) -> float:
    rows = view.row_of_pair[:IMPOSTOR_SAMPLE]
    violating = d_neg[rows] < d_pos[:IMPOSTOR_SAMPLE, None] + margin
    return float(violating.sum() / view.drawn[rows].sum().clamp(min=1))


@dataclass(frozen=True)
class _View:
    """A batch and its negatives as tensors, with items re-numbered to the distinct ones that occur."""

    users: Tensor  # (n,) distinct user rows
    items: Tensor  # (m,) distinct item rows
    owner: Tensor  # (batch,) position in `users`
    liked: Tensor  # (batch,) position in `items`
    negatives: Tensor  # position in `items`: (pool,) when shared, else (batch, draws)
    masked: tuple[Tensor, Tensor]
    n_eligible: Tensor  # (rows,)
    drawn: Tensor  # (rows,)

    @classmethod
    def of(cls, space: Space, batch: Batch, negatives: Negatives) -> _View:
        device = space.users.device
        wanted = np.concatenate([batch.liked, negatives.items.ravel()])
        items, position = np.unique(wanted, return_inverse=True)
        n_rows = len(batch.users) if negatives.shared else len(batch.liked)
        masked_per_row = np.bincount(negatives.masked_rows, minlength=n_rows)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(device)

        return cls(
            users=tensor(batch.users),
            items=tensor(items),
            owner=tensor(batch.owner),
            liked=tensor(position[: len(batch.liked)]),
            negatives=tensor(position[len(batch.liked) :].reshape(negatives.items.shape)),
            masked=(tensor(negatives.masked_rows), tensor(negatives.masked_columns)),
            n_eligible=tensor(negatives.n_eligible.astype(np.float32)),
            drawn=tensor((negatives.items.shape[-1] - masked_per_row).astype(np.float32)),
        )

    @property
    def shared(self) -> bool:
        return self.negatives.ndim == 1

    @property
    def shape(self) -> tuple[int, int]:
        """Of the distances to negatives."""
        return len(self.n_eligible), self.negatives.shape[-1]

    @property
    def row_of_pair(self) -> Tensor:
        """Row of the distances to negatives for each positive."""
        return self.owner if self.shared else torch.arange(len(self.owner), device=self.owner.device)

    @property
    def infinity(self) -> Tensor:
        return torch.tensor(torch.inf, device=self.owner.device)

    def negative_distances(self, users: Tensor, items: Tensor) -> Tensor:
        """Squared distances to the negatives: (users, pool) when shared, else (batch, draws)."""
        if self.shared:
            return squared_distances(users, items[self.negatives])
        return (users[self.owner][:, None, :] - items[self.negatives]).square().sum(2)

    def negative_gradients(self, users: Tensor, items: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients by the distinct users and items, from the slopes by `negative_distances`."""
        by_items = torch.zeros_like(items)
        if self.shared:
            pool = items[self.negatives]
            by_users = users * slopes.sum(1)[:, None] - slopes @ pool
            by_pool = pool * slopes.sum(0)[:, None] - slopes.T @ users
            by_items.index_add_(0, self.negatives, by_pool)
        else:
            gaps = (users[self.owner][:, None, :] - items[self.negatives]) * slopes[:, :, None]
            by_users = torch.zeros_like(users).index_add_(0, self.owner, gaps.sum(1))
            by_items.index_add_(0, self.negatives.ravel(), gaps.flatten(0, 1), alpha=-1)
        return by_users.mul_(2), by_items.mul_(2)
