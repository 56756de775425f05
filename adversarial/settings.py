"""Settings of the estimators, refused before any training when nothing can come of them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from adversarial.errors import SettingError
from adversarial.scaling import SCALES

if TYPE_CHECKING:
    from adversarial.adapter import DomainAdapter


def check_settings(estimator: DomainAdapter) -> None:
    """Raises SettingError for a setting of the wrong kind or out of range."""
    if not 0 <= estimator.validation_fraction < 1:
        raise SettingError(
            f"validation_fraction is {estimator.validation_fraction}; give 0 or a share below 1"
        )
    for name in ("steps", "batch_size", "record_every", "critic_steps"):
        if not _is_count(getattr(estimator, name)):
            raise SettingError(
                f"{name} is {getattr(estimator, name)}; it has to be at least 1 and a whole number"
            )
    for name in ("learning_rate", "critic_learning_rate"):
        if not _is_amount(getattr(estimator, name)) or getattr(estimator, name) == 0:
            raise SettingError(f"{name} is {getattr(estimator, name)}; it has to be above 0 and finite")
    for name in ("weight", "penalty", "l2"):
        if not _is_amount(getattr(estimator, name)):
            raise SettingError(f"{name} is {getattr(estimator, name)}; it has to be 0 or more and finite")
    if estimator.scale not in SCALES:
        raise SettingError(f"no scale named {estimator.scale!r}; there are {', '.join(SCALES)}")
    _check_widths("hidden", estimator.hidden)
    _check_widths("critic_hidden", estimator.critic_hidden)
    if len(estimator.hidden) == 0:
        raise SettingError("hidden is empty; the extractor needs at least one layer")


@torch.no_grad()
def check_head(head: nn.Module, features: int, outputs: int, device: str) -> None:
    """Raises SettingError unless the head turns (batch, features) into (batch, outputs)."""
    training = head.training
    try:
        shape = tuple(head.eval()(torch.zeros(2, features, device=device)).shape)
    except RuntimeError as error:
        raise SettingError(f"head: takes no features of shape (batch, {features}) ({error})") from error
    finally:
        head.train(training)
    if shape != (2, outputs):
        raise SettingError(
            f"head: gives {shape} for 2 rows where (2, {outputs}) is needed; change its last layer"
        )


def _check_widths(name: str, widths: Any) -> None:
    try:
        fine = all(_is_count(width) for width in widths)
    except TypeError:
        fine = False
    if not fine:
        raise SettingError(f"{name} is {widths!r}; give whole widths of at least 1, such as (500,)")


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


def _is_amount(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value) and float(value) >= 0
