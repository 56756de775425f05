"""`--auto`: settings chosen on validation data within a stated time, by changing one setting at a time.

The first trial is the run as it is configured, and it is always finished: on validation data the result is never
worse than without tuning. From then on the best trial so far is changed by one move; what is clearly better
becomes the best, and the move is repeated from there. It ends when no move helps any more or the time is up.
Nothing here sees test data.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cml.config import RunConfig
from cml.data.dataset import Dataset
from cml.errors import NothingLearnedError, TrainingError
from cml.training.features import EncodedFeatures
from cml.training.history import Epoch
from cml.training.profiling import OFF, Profile
from cml.training.search_space import MOVES, Move, values_of
from cml.training.trainer import Fit, Progress, Validate, fit

GAIN = 1.002  # a trial must be better by this factor: smaller differences are chance
HOPELESS = 0.93  # of what the best trial had reached by the same epoch: such a trial is given up
HOPELESS_AFTER = 5  # epochs
WRITING = 0.05  # share of the time kept for what comes after training
ALIKE = 0.01  # relative: values that need no trial of their own


@dataclass(frozen=True)
class Budget:
    """Seconds for a whole run, counted from when the clock showed `started`."""

    seconds: float
    started: float
    clock: Callable[[], float]

    def left(self) -> float:
        """Seconds left for training."""
        return self.seconds * (1 - WRITING) - (self.clock() - self.started)


@dataclass(frozen=True)
class Trial:
    """A configuration and what came of it; without a history, training failed."""

    config: RunConfig
    move: str  # from the best trial before; empty for the first
    number: int  # from 1
    history: Sequence[Epoch]
    best_epoch: int
    stopped: str  # as in `Fit`, or "failed"
    seconds: float
    accepted: bool  # whether it became the best

    @property
    def value(self) -> float:
        """The validation metric; minus infinity when training failed."""
        return _best_until(self.history, len(self.history), self.config.train.metric)

    def row(self) -> dict[str, Any]:
        """Flat, for a table."""
        return {
            "number": self.number,
            "move": self.move,
            self.config.train.metric: self.value if self.history else "",
            "accepted": self.accepted,
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 3),
            **values_of(self.config),
        }


@dataclass
class Tuner:
    """Runs trials and keeps the best. refit: the winner will be trained once more, which takes time as well."""

    train: Dataset
    validate: Validate
    budget: Budget
    refit: bool = False
    listen: Callable[[Epoch], None] = lambda _: None
    tell: Callable[[Trial], None] = lambda _: None
    profile: Profile = OFF
    features: EncodedFeatures | None = None  # of the items of `train`
    user_features: EncodedFeatures | None = None  # of its users
    trials: list[Trial] = field(default_factory=list, init=False)
    _best: Trial = field(init=False)
    _fit: Fit = field(init=False)

    def search(self, config: RunConfig, held: frozenset[str] = frozenset()) -> tuple[RunConfig, Fit]:
        """The best configuration found and its training; settings in `held` stay as they are.

        Data, seed and the number of trials decide the result, and the clock decides only how many there are.
        Ctrl-C ends the search with the best so far. Raises TrainingError when the first trial fails.
        """
        self._run(config, "")
        if self.trials[0].stopped != "interrupted":
            self._climb([move for move in MOVES if move.setting not in held])
        return self._best.config, self._fit

    def _climb(self, moves: Sequence[Move]) -> None:
        position, in_vain = 0, 0
        while in_vain < len(moves):
            move = moves[position % len(moves)]
            config = move.of(self._best.config)
            if config is not None and self._is_new(config) and self._is_affordable(config):
                try:
                    trial = self._run(config, str(move))
                except (KeyboardInterrupt, NothingLearnedError):
                    return
                if trial.stopped == "interrupted":
                    return
                if trial.accepted:  # then once more in the same direction
                    in_vain = 0
                    continue
            position, in_vain = position + 1, in_vain + 1

    def _run(self, config: RunConfig, move: str) -> Trial:
        """One more trial; it becomes the best if it is clearly better."""
        started = self.budget.clock()
        try:
            found = self._fitted(config, started)
        except NothingLearnedError:
            raise
        except TrainingError:
            if not self.trials:
                raise
            trial = Trial(config, move, len(self.trials) + 1, [], 0, "failed", self._since(started), False)
        else:
            trial = self._judged(found, move, self._since(started))
        self.trials.append(trial)
        self.tell(trial)
        return trial

    def _fitted(self, config: RunConfig, started: float) -> Fit:
        def enough(progress: Progress) -> bool:
            return bool(self.trials) and (self._is_late(progress, started) or self._is_hopeless(progress))

        return fit(
            self.train,
            config,
            validate=self.validate,
            listen=self.listen,
            enough=enough,
            profile=self.profile,
            features=self.features,
            user_features=self.user_features,
        )

    def _judged(self, found: Fit, move: str, seconds: float) -> Trial:
        value = found.metrics[found.config.train.metric]
        accepted = not self.trials or value > GAIN * self._best.value
        number = len(self.trials) + 1
        trial = Trial(
            found.config, move, number, found.history, found.best_epoch, found.stopped, seconds, accepted
        )
        if accepted:
            self._best, self._fit = trial, found
        return trial

    def _since(self, started: float) -> float:
        return self.budget.clock() - started

    def _is_new(self, config: RunConfig) -> bool:
        return not any(_alike(config, trial.config) for trial in self.trials)

    def _is_affordable(self, config: RunConfig) -> bool:
        """Whether there is time to come as far as the best trial did when it was best, and for the refit."""
        best = self._best
        needed = (
            best.seconds
            * best.best_epoch
            / len(best.history)
            * max(1, config.model.dim / best.config.model.dim)
        )
        return self.budget.left() >= needed + max(
            self._refit_seconds(best.seconds), self._refit_seconds(needed)
        )

    def _is_late(self, progress: Progress, started: float) -> bool:
        """Whether another epoch might take the time of the refit, or more than is left."""
        spent = self._since(started)
        refit = self._refit_seconds(max(self._best.seconds, spent))
        return self.budget.left() - refit < spent / progress.epoch

    def _is_hopeless(self, progress: Progress) -> bool:
        done, metric = progress.epoch, self._best.config.train.metric
        reached = _best_until(self._best.history, done, metric)
        return done >= HOPELESS_AFTER and progress.best_value < HOPELESS * reached

    def _refit_seconds(self, seconds: float) -> float:
        """Of a refit, for a trial of so many seconds: it has more data, but neither validation nor patience."""
        return seconds if self.refit else 0.0


def trials_as_csv(trials: Sequence[Trial]) -> str:
    """The trials with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(trials[0].row()))
    writer.writeheader()
    writer.writerows(trial.row() for trial in trials)
    return text.getvalue()


def _best_until(history: Sequence[Epoch], epoch: int, metric: str) -> float:
    return max((row.metrics[metric] for row in history[:epoch]), default=-math.inf)


def _alike(config: RunConfig, other: RunConfig) -> bool:
    """Whether the two differ so little that a trial of both would be a waste."""
    ours, theirs = values_of(config), values_of(other)
    return all(_close(value, theirs[setting]) for setting, value in ours.items())


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ALIKE)
    return bool(one == other)
