"""A training run made ready: configuration turned into the parts that do the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cml.config import RunConfig, TrainConfig
from cml.data.dataset import Dataset
from cml.errors import ConfigError, TrainingError
from cml.training.engine import Engine
from cml.training.features import EncodedFeatures, FeaturePrior, UserPrior
from cml.training.objectives import make_objective
from cml.training.optimizers import OPTIMIZERS
from cml.training.profiling import OFF, Profile
from cml.training.rules import resolved
from cml.training.sampling import (
    Batch,
    Interacted,
    PerPair,
    SharedPool,
    batches_of_pairs,
    batches_of_users,
    popularity_probability,
)
from cml.training.search_space import changed
from cml.training.space import Space
from cml.training.start import Judge, Start, starting_space


@dataclass
class Plan:
    """The parts of a run. `rng` and the space are what steps change; the rest stays as made."""

    space: Space
    config: RunConfig  # with everything decided that was left to the data
    engine: Engine
    negatives: SharedPool | PerPair
    rng: np.random.Generator
    schedule: Callable[[int], float]  # epochs done -> factor of the learning rate
    learning_rate: float
    batches: Callable[[], Iterator[Batch]]
    user_weights: NDArray[np.float32]  # (n_users,)
    prior: FeaturePrior | None = None
    user_prior: UserPrior | None = None
    feature_schedule: Callable[[int], float] = lambda _: 1.0  # epochs done -> factor of the feature weight
    user_feature_schedule: Callable[[int], float] = lambda _: 1.0

    @classmethod
    def of(
        cls,
        train: Dataset,
        config: RunConfig,
        start: Space | None,
        judge: Judge | None = None,
        profile: Profile = OFF,
        features: EncodedFeatures | None = None,
        user_features: EncodedFeatures | None = None,
    ) -> Plan:
        """A plan from a copy of `start`, else from where the configuration and `judge` say, see `cml.training.start`.

        features: of the items, which the start leans on and whose feature loss is part of the objective;
        user_features: of the users, likewise.

        Raises TrainingError when there is nothing to learn from.
        """
        positives = train.positives()
        if not positives.nnz:
            raise TrainingError("no liked pair to learn from; check data.like_threshold and the file")
        begin = (
            Start(start.copy())
            if start
            else starting_space(positives, config.model, config.rng("start"), judge)
        )
        likes, users_likes = (
            np.bincount(positives.indices, minlength=train.n_items),
            np.diff(positives.indptr),
        )
        if features and not start:
            _lean(begin.space.items, features, likes, begin.space.radius)
        if user_features and not start:
            _lean(begin.space.users, user_features, users_likes, begin.space.radius)
        config = resolved(_informed(config, begin), *positives.shape, positives.nnz)
        settings = config.train
        space = _placed(begin.space, config.device)
        prior = FeaturePrior.of(features, space.items, space.radius, positives.nnz) if features else None
        user_prior = (
            UserPrior.of_users(user_features, space.users, space.radius, torch.from_numpy(users_likes))
            if user_features
            else None
        )
        optimizer = OPTIMIZERS[settings.optimizer]
        rng = config.rng("steps")
        make = (
            partial(batches_of_users, visits=settings.visits or 1)
            if settings.batch == "users"
            else batches_of_pairs
        )
        return cls(
            space=space,
            config=config,
            engine=Engine(
                space,
                make_objective(settings),
                optimizer(space.users, space.radius, settings.learning_rate * settings.user_rate),
                optimizer(space.items, space.radius, settings.learning_rate),
                covariance=settings.covariance,
                margin=0.0 if settings.loss == "smooth-warp" else settings.margin,
                analytic=settings.gradient == "analytic",
                prior=prior,
                user_prior=user_prior,
                profile=profile,
            ),
            negatives=_negatives(train, settings),
            rng=rng,
            schedule=SCHEDULES[settings.schedule](settings.epochs),
            learning_rate=settings.learning_rate,
            batches=lambda: make(positives, settings.batch_size, rng),
            user_weights=_user_weights(users_likes, settings.user_power),
            prior=prior,
            user_prior=user_prior,
            feature_schedule=SCHEDULES[config.features.weight_schedule](settings.epochs),
            user_feature_schedule=SCHEDULES[config.user_features.weight_schedule](settings.epochs),
        )

    def renew_priors(self, done: int) -> None:
        """Fit the extractors to where the vectors are, after so many epochs."""
        if self.prior is not None:
            self.prior.renew(self.space.items, self.feature_schedule(done))
        if self.user_prior is not None:
            self.user_prior.renew(self.space.users, self.user_feature_schedule(done))

    def weights(self, batch: Batch) -> Tensor:
        """Weight of each positive: of the interaction, times its user's."""
        weights = batch.weights * self.user_weights[batch.users[batch.owner]]
        return torch.from_numpy(weights).to(self.space.users.device)


def _informed(config: RunConfig, begin: Start) -> RunConfig:
    """The configuration with what the start is and says; what was given stays."""
    if begin.regularization is not None:  # once chosen, it is a setting like any other
        config = changed(config, "model.regularization", begin.regularization)
    if config.train.temperature is None and begin.temperature is not None:
        config = changed(config, "train.temperature", begin.temperature)
    return config


def _lean(
    vectors: Tensor, features: EncodedFeatures, likes: NDArray[np.integer], radius: float | None
) -> None:
    vectors.copy_(torch.from_numpy(features.leaned(vectors.numpy(), likes, radius)))


def _placed(space: Space, device: str) -> Space:
    """The space on a device. Raises ConfigError where torch cannot use it."""
    try:
        return space.to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises for an unknown and for an absent one
        reason = str(error).splitlines()[0]
        raise ConfigError(f"setting device = {device!r}: {reason}; choose cpu, or cuda with a GPU") from None


def _negatives(train: Dataset, settings: TrainConfig) -> SharedPool | PerPair:
    interacted = Interacted(train.seen(), train.dislikes())
    probability = popularity_probability(train.positives(), settings.popularity_power)
    if settings.negatives == "per-pair":
        return PerPair(settings.draws, interacted, probability)
    size = train.n_items if settings.negatives == "all" else settings.pool
    return SharedPool(size, interacted, probability)


def _user_weights(likes: NDArray[np.integer], power: float) -> NDArray[np.float32]:
    """`likes ** -power`, scaled so that the mean over all positives is 1: (n_users,), 0 for users without any."""
    raw = np.where(likes > 0, np.maximum(likes, 1).astype(np.float64) ** -power, 0.0)
    return (raw * likes.sum() / (raw * likes).sum()).astype(np.float32)


SCHEDULES: dict[str, Callable[[int], Callable[[int], float]]] = {
    "constant": lambda _: lambda _: 1.0,
    "linear": lambda epochs: lambda done: 1 - done / epochs,
    "cosine": lambda epochs: lambda done: (1 + math.cos(math.pi * done / epochs)) / 2,
}
