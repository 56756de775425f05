"""The training loop on one screen: batches, steps, validation, early stop, the best space kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cml.config import RunConfig
from cml.dataset import Dataset
from cml.errors import TrainingError
from cml.history import Epoch, shape_of
from cml.plan import Plan
from cml.space import Space

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


@dataclass(frozen=True)
class Fit:
    """A trained space and how it came about."""

    space: Space  # of the best epoch, on the CPU
    history: list[Epoch]
    best_epoch: int
    stopped: str  # "done", "early" or "interrupted"
    regularization: float | None = None  # of the closed-form start, as chosen; None for any other start

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
) -> Fit:
    """Learn a metric space from the liked pairs of `train`, by the CML objective [CML-5].

    start: where to begin; None: as `config.model.start` says, with a little help of `validate`. epochs: how many;
    None: `config.train.epochs`, over which the learning rate's schedule runs in any case. validate: metrics of a
    space, higher is better, of which `config.train.metric` chooses the epoch; without it the last epoch counts
    and nothing stops early. listen: told of each epoch. save, resume: see `cml.checkpoint`. Ctrl-C ends training
    with the best space so far. Raises TrainingError when there is nothing to learn from or the loss is no longer
    finite.
    """
    judge = (lambda space: validate(space)[config.train.metric]) if validate else None
    plan = Plan.of(train, config, start, judge)
    progress = resume(plan)
    stopped = "done"
    try:
        while progress.epoch < (epochs or config.train.epochs):
            if validate and progress.epoch - progress.best_epoch >= config.train.patience:
                stopped = "early"
                break
            _one_epoch(plan, progress, config, validate)
            save(plan, progress)
            listen(progress.history[-1])
    except KeyboardInterrupt:
        stopped = "interrupted"
    if progress.best is None:
        raise TrainingError(
            "training was interrupted before its first epoch ended; there is no model to keep"
        )
    return Fit(progress.best.to("cpu"), progress.history, progress.best_epoch, stopped, plan.regularization)


def _one_epoch(plan: Plan, progress: Progress, config: RunConfig, validate: Validate | None) -> None:
    started = time.perf_counter()
    scale = plan.schedule(progress.epoch)
    loss, impostor_share = _steps(plan, scale)
    trained = time.perf_counter()
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
        progress.best, progress.best_value, progress.best_epoch = plan.space.copy(), value, epoch.number


def _steps(plan: Plan, scale: float) -> tuple[float, float]:
    """Take every step of an epoch: (weighted mean loss, impostor share)."""
    total, weight, shares = 0.0, 0.0, []
    for batch in plan.batches():
        negatives = plan.negatives.draw(batch, plan.rng)
        weights = plan.weights(batch)
        report = plan.engine.step(batch, negatives, weights, scale)
        shares.append(report.impostor_share)
        total += (
            float((report.loss * weights).sum()) + plan.engine.covariance * len(weights) * report.covariance
        )
        weight += float(weights.sum())
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is no longer a number (learning rate {scale * plan.learning_rate:g}): lower "
                "train.learning_rate, raise train.temperature, or keep model.radius set"
            )
    return total / weight, float(np.mean(shares))
