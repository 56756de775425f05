"""The training loop on one screen: batches, steps, validation, early stop, the best space kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cml.config import RunConfig
from cml.data.dataset import Dataset
from cml.errors import NothingLearnedError, TrainingError
from cml.training.features import EncodedFeatures
from cml.training.history import Epoch, shape_of
from cml.training.plan import Plan
from cml.training.profiling import DRAWING, FEATURES, OFF, START, VALIDATION, Profile
from cml.training.space import Space

Validate = Callable[[Space], dict[str, float]]
Listener = Callable[[Epoch], None]


@dataclass
class Progress:
    """Where a training run stands: everything that decides how it goes on."""

    history: list[Epoch] = field(default_factory=list)
    best: Space | None = None
    best_epoch: int = 0
    best_value: float = -math.inf

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Spent in training steps."""
        return sum(epoch.seconds for epoch in self.history)

    def keep(self, space: Space, value: float) -> None:
        """Remember a copy of the space as the best one, in the place of the last."""
        if self.best is None:
            self.best = space.copy()
        else:
            self.best.overwrite(space)
        self.best_value, self.best_epoch = value, self.epoch


@dataclass(frozen=True)
class Fit:
    """A trained space and how it came about."""

    space: Space  # of the best epoch, on the CPU
    history: list[Epoch]
    best_epoch: int
    stopped: str  # "done", "early" or "interrupted"
    config: RunConfig  # as given, with everything decided that was left to the data

    @property
    def metrics(self) -> dict[str, float]:
        """Validation metrics of the best epoch; empty without validation."""
        return self.history[self.best_epoch - 1].metrics if self.best_epoch else {}


def fit(
    train: Dataset,
    config: RunConfig,
    *,
    start: Space | None = None,
    epochs: int | None = None,
    validate: Validate | None = None,
    listen: Listener = lambda _: None,
    save: Callable[[Plan, Progress], None] = lambda *_: None,
    resume: Callable[[Plan], Progress] = lambda _: Progress(),
    enough: Callable[[Progress], bool] = lambda _: False,
    profile: Profile = OFF,
    features: EncodedFeatures | None = None,
    user_features: EncodedFeatures | None = None,
) -> Fit:
    """Learn a metric space from the liked pairs of `train`, by the CML objective [CML-5].

    start: where to begin; None: as `config.model.start` says, with a little help of `validate`. epochs: how many;
    None: `config.train.epochs`, over which the learning rate's schedule runs in any case. validate: metrics of a
    space, higher is better, of which `config.train.metric` chooses the epoch; without it the last epoch counts
    and nothing stops early. listen: told of each epoch. save, resume: see `cml.training.checkpoint`. enough:
    asked after each epoch whether to stop early for another reason. profile: told where the time goes. features:
    of the items of `train`, user_features: of its users, for the feature loss [CML-3]. Ctrl-C
    ends training with the best space so far. Raises TrainingError when there is nothing to learn from or the loss
    is no longer finite, NothingLearnedError when Ctrl-C came before the first epoch ended.
    """
    judge = (lambda space: validate(space)[config.train.metric]) if validate else None
    with profile.stage(START):
        plan = Plan.of(train, config, start, judge, profile, features, user_features)
    progress = resume(plan)
    stopped, allowed = "done", epochs or config.train.epochs
    try:
        while progress.epoch < allowed:
            impatient = validate and progress.epoch - progress.best_epoch >= config.train.patience
            if progress.epoch and (impatient or enough(progress)):
                stopped = "early"
                break
            _one_epoch(plan, progress, config, validate, profile)
            save(plan, progress)
            listen(progress.history[-1])
    except KeyboardInterrupt:
        stopped = "interrupted"
    if progress.best is None:
        raise NothingLearnedError(
            "training was interrupted before its first epoch ended; there is no model to keep"
        )
    return Fit(progress.best.to("cpu"), progress.history, progress.best_epoch, stopped, plan.config)


def _one_epoch(
    plan: Plan, progress: Progress, config: RunConfig, validate: Validate | None, profile: Profile
) -> None:
    started = time.perf_counter()
    scale = plan.schedule(progress.epoch)
    if plan.prior is not None or plan.user_prior is not None:
        with profile.stage(FEATURES):
            plan.renew_priors(progress.epoch)
    loss, impostor_share = _steps(plan, scale, profile)
    if not all(math.isfinite(float(table.sum())) for table in (plan.space.users, plan.space.items)):
        raise _diverged(plan, scale)  # in the last step, which no loss was measured after
    trained = time.perf_counter()
    with profile.stage(VALIDATION):
        metrics = validate(plan.space) if validate else {}
    epoch = Epoch(
        number=progress.epoch + 1,
        loss=loss,
        impostor_share=impostor_share,
        learning_rate=scale * config.train.learning_rate,
        **shape_of(plan.space),
        seconds=trained - started,
        validation_seconds=time.perf_counter() - trained,
        metrics=metrics,
    )
    progress.history.append(epoch)
    value = metrics[config.train.metric] if validate else float(epoch.number)
    if value > progress.best_value:
        progress.keep(plan.space, value)


def _steps(plan: Plan, scale: float, profile: Profile) -> tuple[float, float]:
    """Take every step of an epoch: (weighted mean loss, impostor share)."""
    total, weight, shares = 0.0, 0.0, []
    for batch in profile.each(DRAWING, plan.batches()):
        with profile.stage(DRAWING):
            negatives = plan.negatives.draw(batch, plan.rng)
            weights = plan.weights(batch)
        report = plan.engine.step(batch, negatives, weights, scale)
        shares.append(report.impostor_share)
        total += (
            float((report.loss * weights).sum())
            + plan.engine.covariance * len(weights) * report.covariance
            + report.features
        )
        weight += float(weights.sum())
        if not math.isfinite(total):
            raise _diverged(plan, scale)
    return total / weight, float(np.mean(shares))


def _diverged(plan: Plan, scale: float) -> TrainingError:
    return TrainingError(
        f"the loss is no longer a number (learning rate {scale * plan.learning_rate:g}): lower "
        "train.learning_rate, raise train.temperature, or keep model.radius set"
    )
