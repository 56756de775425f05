"""What `--auto` may change: one setting a move, the moves that help most often first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from cml.config import RunConfig, Section


@dataclass(frozen=True)
class Move:
    """A change of one setting, `section.name`. change: its new value from the old one, None where it ends."""

    setting: str
    words: str
    change: Callable[[Any], Any]
    applies: Callable[[RunConfig], bool] = lambda _: True

    def of(self, config: RunConfig) -> RunConfig | None:
        """The configuration after the move; None where the setting has no effect, no value, or no way to go."""
        old = value_of(config, self.setting)
        new = self.change(old) if old is not None and self.applies(config) else None
        return None if new is None else changed(config, self.setting, new)

    def __str__(self) -> str:
        return f"{self.setting} {self.words}"


def changed(config: RunConfig, setting: str, value: Any) -> RunConfig:
    """The configuration with another value of `section.name`."""
    section, _, name = setting.partition(".")
    part: Section = getattr(config, section)
    return config.model_copy(update={section: part.model_copy(update={name: value})})


def value_of(config: RunConfig, setting: str) -> Any:
    """The value of `section.name`."""
    section, _, name = setting.partition(".")
    return getattr(getattr(config, section), name)


def given(config: RunConfig) -> frozenset[str]:
    """The settings that were given, by a file or one by one, and not left at their defaults."""
    parts = {name: cast(Section, getattr(config, name)) for name in ("model", "train")}
    return frozenset(f"{name}.{field}" for name, part in parts.items() for field in part.model_fields_set)


def values_of(config: RunConfig) -> dict[str, Any]:
    """The value of every setting that a move may change."""
    return {setting: value_of(config, setting) for setting in dict.fromkeys(move.setting for move in MOVES)}


def _times(factor: float, least: float, most: float) -> Callable[[float], float | None]:
    def change(value: float) -> float | None:
        new = float(f"{value * factor:.4g}")
        return new if least <= new <= most else None

    return change


def _whole(factor: float, least: int, most: int) -> Callable[[int], int | None]:
    def change(value: int) -> int | None:
        new = int(value * factor)
        return new if new != value and least <= new <= most else None

    return change


def _plus(step: float, least: float, most: float) -> Callable[[float], float | None]:
    def change(value: float) -> float | None:
        new = round(value + step, 4)
        return new if least <= new <= most else None

    return change


def _smooth(config: RunConfig) -> bool:
    return config.train.loss == "smooth-warp"


def _with_margin(config: RunConfig) -> bool:
    return config.train.loss not in ("smooth-warp", "lmnn")


def _closed_form(config: RunConfig) -> bool:
    return config.model.start == "als" and config.model.radius is not None


def _in_a_ball(config: RunConfig) -> bool:
    return config.model.radius is not None


def _by_users(config: RunConfig) -> bool:
    return config.train.batch == "users"


MOVES = (
    Move("train.temperature", "up", _times(1.25, 0.02, 5), _smooth),
    Move("train.temperature", "down", _times(0.8, 0.02, 5), _smooth),
    Move("train.margin", "up", _times(1.4, 0.02, 10), _with_margin),
    Move("train.margin", "down", _times(0.7, 0.02, 10), _with_margin),
    Move("train.user_power", "up", _plus(0.25, 0, 1)),
    Move("train.user_power", "down", _plus(-0.25, 0, 1)),
    Move("train.learning_rate", "down", _times(0.5, 1e-3, 1)),
    Move("train.learning_rate", "up", _times(2, 1e-3, 1)),
    Move("model.start", "random", lambda start: "random" if start == "als" else None, _in_a_ball),
    Move("model.regularization", "up", _times(2, 1e-3, 1), _closed_form),
    Move("model.regularization", "down", _times(0.5, 1e-3, 1), _closed_form),
    Move("train.visits", "up", _whole(2, 1, 8), _by_users),
    Move("train.visits", "down", _whole(0.5, 1, 8), _by_users),
    Move("model.dim", "up", _whole(2, 64, 512)),
    Move("model.dim", "down", _whole(0.5, 64, 512)),
)
