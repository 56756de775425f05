"""What draws two domains together: WDGRL, DANN, CORAL, MMD, or nothing, behind one small interface.

Each alignment sees the features of a source batch and a target batch, never a label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from adversarial import objectives
from adversarial.errors import SettingError
from adversarial.networks import mlp
from adversarial.relu_slopes import penalised_gradients


@dataclass(frozen=True)
class AlignmentSettings:
    """Settings that alignments share; each takes the ones that it has a use for."""

    weight: float = 1.0
    """How much the alignment counts beside the task's loss: lambda of [WDGRL-4]."""
    penalty: float = 10.0
    """How much slopes other than 1 cost the critic: gamma of [WDGRL-4]."""
    critic_steps: int = 5
    critic_hidden: Sequence[int] = (100,)
    critic_learning_rate: float = 1e-4
    device: str | torch.device = "cpu"
    """Where the features are."""


class Alignment(Protocol):
    """Measures how far apart two batches of features are, in a way that an extractor can lower."""

    def learn(self, source: Tensor, target: Tensor) -> None:
        """Sharpen the measure on features (batch, dim) that carry no gradient; both batches of equal size."""

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """A weighted scalar for the extractor to lower. progress: the share of training done, in [0, 1)."""


class NoAlignment:
    """Source only: trains on the source and hopes."""

    def learn(self, source: Tensor, target: Tensor) -> None:
        """Nothing to learn."""

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """Zero."""
        return source.new_zeros(())


class WassersteinAlignment:
    """[WDGRL-4]: a critic with slopes near 1 estimates the Wasserstein distance between the features."""

    def __init__(self, settings: AlignmentSettings, dim: int, randomness: torch.Generator) -> None:
        self.critic = _critic(settings, dim, randomness)
        self._settings, self._randomness = settings, randomness
        self._optimiser = torch.optim.Adam(
            self.critic.parameters(), lr=settings.critic_learning_rate, fused=True
        )

    def learn(self, source: Tensor, target: Tensor) -> None:
        """`critic_steps` steps up on the domain gap, each with fresh points between the domains."""
        share = source.new_full((len(source),), 1 / len(source))
        weights = torch.cat([-share, share, torch.zeros_like(share)])  # minus [WDGRL-1], nothing in between
        for _ in range(self._settings.critic_steps):
            epsilon = torch.rand(len(source), generator=self._randomness, dtype=source.dtype)
            points = objectives.wdgrl_points(source, target, epsilon.to(source.device))
            found = penalised_gradients(self.critic, points, weights, self._settings.penalty)
            for parameter, gradient in zip(self.critic.parameters(), found.parameters, strict=True):
                parameter.grad = gradient
            self._optimiser.step()

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """lambda * L_wd: here gamma is 0, the penalty never guides the extractor."""
        scores = self.critic(torch.cat([source, target]))
        return self._settings.weight * objectives.domain_gap(scores[: len(source)], scores[len(source) :])


class DomainClassifier:
    """DANN (Ganin 2016): a classifier tells the domains apart, the extractor raises its loss.

    The extractor's share grows from 0 to `weight` as 2 / (1 + exp(-10 progress)) - 1.
    """

    def __init__(self, settings: AlignmentSettings, dim: int, randomness: torch.Generator) -> None:
        self.classifier = _critic(settings, dim, randomness)
        self._weight = settings.weight
        self._optimiser = torch.optim.Adam(
            self.classifier.parameters(), lr=settings.critic_learning_rate, fused=True
        )

    def learn(self, source: Tensor, target: Tensor) -> None:
        """One step towards telling source (real) from target (generated)."""
        self._optimiser.zero_grad()
        self._domain_loss(source, target).backward()
        self._optimiser.step()

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """The negative of the classifier's loss: the reversed gradient written as an objective."""
        share = 2 / (1 + math.exp(-10 * progress)) - 1
        return -self._weight * share * self._domain_loss(source, target)

    def _domain_loss(self, source: Tensor, target: Tensor) -> Tensor:
        logits = self.classifier(torch.cat([source, target]))
        on_source = objectives.discriminator_on_real(logits[: len(source)]).mean()
        on_target = objectives.discriminator_on_generated(logits[len(source) :]).mean()
        return (on_source + on_target) / 2


@dataclass(frozen=True)
class CovarianceAlignment:
    """Deep CORAL (Sun and Saenko 2016): ||C_s - C_t||_F^2 / (4 dim^2)."""

    weight: float

    def learn(self, source: Tensor, target: Tensor) -> None:
        """Nothing to learn."""

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """The weighted distance of the two batches' covariances. Raises SettingError for fewer than 2 rows."""
        if len(source) < 2:
            raise SettingError(
                "coral compares covariances, and a single row has none; give batch_size and both domains 2 or more"
            )
        return self.weight * covariance_distance(source, target)


@dataclass(frozen=True)
class KernelAlignment:
    """MMD: the distance between the mean embeddings under a sum of Gaussian kernels."""

    weight: float

    def learn(self, source: Tensor, target: Tensor) -> None:
        """Nothing to learn."""

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """The weighted squared maximum mean discrepancy of the two batches."""
        return self.weight * kernel_discrepancy(source, target)


def covariance_distance(source: Tensor, target: Tensor) -> Tensor:
    """||cov(source) - cov(target)||_F^2 / (4 dim^2), a scalar; both (batch, dim) with at least 2 rows."""
    difference = _covariance(source) - _covariance(target)
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def kernel_discrepancy(
    source: Tensor, target: Tensor, scales: Sequence[float] = (0.25, 0.5, 1, 2, 4)
) -> Tensor:
    """Squared MMD (biased, never negative) under sum_s exp(-d^2 / (s * m)), a scalar.

    m is the mean squared distance between two different rows of both batches, held constant for the
    gradient: the kernels follow the size of the features, so that no bandwidth has to be chosen.
    """
    rows = torch.cat([source, target])
    squared = _squared_distances(rows)
    typical = squared.detach().sum() / (len(rows) * (len(rows) - 1))
    kernel = torch.stack([torch.exp(-squared / (scale * typical.clamp(min=1e-12))) for scale in scales]).sum(
        0
    )
    sign = torch.cat([source.new_full((len(rows_),), w) for rows_, w in _signed(source, target)])
    return sign @ kernel @ sign


ALIGNMENTS: dict[str, Callable[[AlignmentSettings, int, torch.Generator], Alignment]] = {
    "wdgrl": WassersteinAlignment,
    "dann": DomainClassifier,
    "coral": lambda settings, _dim, _randomness: CovarianceAlignment(settings.weight),
    "mmd": lambda settings, _dim, _randomness: KernelAlignment(settings.weight),
    "source-only": lambda _settings, _dim, _randomness: NoAlignment(),
}


def make_alignment(
    name: str, settings: AlignmentSettings, dim: int, randomness: torch.Generator
) -> Alignment:
    """The alignment of that name for features (batch, dim). Raises SettingError."""
    if name not in ALIGNMENTS:
        raise SettingError(f"no method named {name!r}; there are {', '.join(ALIGNMENTS)}")
    return ALIGNMENTS[name](settings, dim, randomness)


def _critic(settings: AlignmentSettings, dim: int, randomness: torch.Generator) -> nn.Module:
    return mlp([dim, *settings.critic_hidden, 1], randomness=randomness, bias=0.1).to(settings.device)


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=0)
    return centred.T @ centred / (len(rows) - 1)


def _squared_distances(rows: Tensor) -> Tensor:
    lengths = rows.square().sum(dim=1)
    return (lengths[:, None] + lengths[None, :] - 2 * rows @ rows.T).clamp(min=0)


def _signed(source: Tensor, target: Tensor) -> list[tuple[Tensor, float]]:
    return [(source, 1 / len(source)), (target, -1 / len(target))]
