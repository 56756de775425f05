"""The three trainings of a round: choose the epoch, make the candidate to be judged, learn from everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cml.artifact import Artifact
from cml.config import RunConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.described import features_of, user_features_of
from cml.errors import StoppedError, TrainingError
from cml.features.given import NOTHING_TOLD, Told
from cml.pipeline import validation
from cml.retraining.alignment import Displacement, aligned
from cml.retraining.parts import Parts
from cml.retraining.warm import as_soft, carry_over
from cml.retraining.workspace import Workspace
from cml.training.checkpoint import Checkpoint
from cml.training.features import EncodedFeatures, ReadCatalogue
from cml.training.history import Epoch
from cml.training.plan import Plan
from cml.training.rules import resolved
from cml.training.search_space import changed, value_of
from cml.training.space import Space
from cml.training.trainer import Fit, Progress, Validate, fit

WARM_PATIENCE = 3  # validations without improvement; a warm start is near the place where it ends
WARM_RATE = 0.1  # of the learning rate: full steps would first undo what the version before knows
BLIND_EPOCHS = 3  # of a warm start where too few pairs could choose the epoch
LEAST_TO_CHOOSE = 20  # users
DECIDED = ("model.regularization", "train.temperature")  # by the start, once a round


@dataclass(frozen=True)
class Learner:
    """Trains for one round, each training resumable: `current` None is a cold start."""

    work: Workspace
    identity: str
    config: RunConfig
    current: Artifact | None
    listen: Callable[[Epoch], None]
    catalogue: ReadCatalogue | None = None  # where features are read from
    told: Told = NOTHING_TOLD  # features that stand nowhere else
    users: ReadCatalogue | None = None  # and those of users

    def choose(self, parts: Parts) -> dict[str, Any]:
        """How many epochs are best on the pairs to choose on, and what the cold start decided (`DECIDED`)."""
        return self.work.once("chosen", lambda: self._choose(parts))

    def learn(self, name: str, data: Dataset, chosen: dict[str, Any]) -> Space:
        """A space trained on `data` as was chosen."""
        config = self.settings(data, chosen)
        return self.work.space_once(
            name, config.model.radius, lambda: self._fit(name, data, config, epochs=chosen["epochs"]).space
        )

    def settings(self, data: Dataset, chosen: dict[str, Any]) -> RunConfig:
        """The settings with all that was left to the data or to the choice decided."""
        config = self._config()
        for setting in DECIDED:
            if chosen.get(setting) is not None:
                config = changed(config, setting, chosen[setting])
        return resolved(config, data.n_users, data.n_items, int(data.liked.sum()))

    def turned(self, space: Space, data: Dataset, before: Artifact | None) -> tuple[Space, Displacement]:
        """The space turned onto the version before, which a cold start forgot as well."""
        if before is None:
            return space, Displacement(0, 0.0, 0.0)
        carried = carry_over(before, data, self.config)
        return aligned(space, carried.known_items, carried.space.items[carried.known_items])

    def _choose(self, parts: Parts) -> dict[str, Any]:
        data = parts.learn.compact()
        config = self._config()
        validate = self._validation(data, parts.choose, config)
        if validate is None and self.current is not None:
            return {"epochs": BLIND_EPOCHS, "metrics": {}, "history": []}
        found = self._fit("choosing", data, config, validate=validate)
        return {
            "epochs": found.best_epoch,
            **{setting: value_of(found.config, setting) for setting in DECIDED},
            "metrics": found.metrics,
            "history": [epoch.row() for epoch in found.history],
        }

    def _validation(self, data: Dataset, choose: Dataset, config: RunConfig) -> Validate | None:
        known = choose.over(data.users, data.items)
        if len(set(known.user_rows.tolist())) < LEAST_TO_CHOOSE:
            return None
        try:
            return validation(data, choose, config)
        except TrainingError:
            return None

    def _fit(
        self,
        name: str,
        data: Dataset,
        config: RunConfig,
        *,
        epochs: int | None = None,
        validate: Validate | None = None,
    ) -> Fit:
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        data = data if validate is not None else data.compact()
        checkpoint = Checkpoint(
            self.work.steps / f"{name}-checkpoint.safetensors",
            f"{self.identity} {data.fingerprint()}",
            pause=0.0,
        )
        config = warmed(config) if self.current is not None else config
        features = features_of(data, config, self.catalogue, told=self.told)
        user_features = user_features_of(data, config, self.users)
        found = fit(
            data,
            config,
            start=warm_start(self.current, data, config, features, user_features)
            if self.current is not None
            else None,
            epochs=epochs,
            validate=validate,
            listen=self.listen,
            save=checkpoint.save,
            resume=_forgiving(checkpoint),
            features=features,
            user_features=user_features,
        )
        if found.stopped == "interrupted":
            raise StoppedError("stopped while training; run the same command to go on")
        return found

    def _config(self) -> RunConfig:
        return as_soft(self.current, self.config) if self.current is not None else self.config


def warmed(config: RunConfig) -> RunConfig:
    """The settings of a training that starts near the place where it ends; no version is published with them."""
    gentle = changed(config, "train.learning_rate", WARM_RATE * config.train.learning_rate)
    return changed(gentle, "train.patience", min(WARM_PATIENCE, config.train.patience))


def warm_start(
    current: Content,
    data: Dataset,
    config: RunConfig,
    features: EncodedFeatures | None = None,
    user_features: EncodedFeatures | None = None,
) -> Space:
    """The current version's vectors for this data; items and users whom it did not know lean on their features."""
    carried = carry_over(current, data, config)
    space = carried.space
    likes = np.bincount(data.item_rows[data.liked], minlength=data.n_items)
    users_likes = np.bincount(data.user_rows[data.liked], minlength=data.n_users)
    _lean(space.items, features, likes, carried.known_items, space.radius)
    _lean(space.users, user_features, users_likes, carried.known_users, space.radius)
    return space


def _lean(
    vectors: Tensor,
    features: EncodedFeatures | None,
    likes: NDArray[np.integer],
    known: Tensor,
    radius: float | None,
) -> None:
    """Draw all rows but the known ones towards where their features say, in place."""
    if features is not None:
        leaned = torch.from_numpy(features.leaned(vectors.numpy(), likes, radius))
        leaned[known] = vectors[known]
        vectors.copy_(leaned)


def _forgiving(checkpoint: Checkpoint) -> Callable[[Plan], Progress]:
    """Resuming, or starting again where a checkpoint is not this run's or cannot be read."""

    def resume(plan: Plan) -> Progress:
        try:
            return checkpoint.resume(plan)
        except TrainingError:
            checkpoint.remove()
            return Progress()

    return resume
