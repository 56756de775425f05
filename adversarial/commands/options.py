"""Options of the commands that train, and the estimator that they describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from adversarial.alignments import ALIGNMENTS
from adversarial.commands.table_options import Seed, TableFile
from adversarial.scaling import SCALES
from adversarial.tables import ENDINGS
from adversarial.wdgrl import DomainAdaptedClassifier, DomainAdaptedRegressor

_SETTINGS = [
    *("hidden", "critic_hidden", "weight", "penalty", "critic_steps", "batch_size"),
    *("learning_rate", "critic_learning_rate", "l2", "validation_fraction", "scale", "device"),
]


class Widths(click.ParamType):
    """Layer widths such as 500 or 500,100."""

    name = "widths"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            widths = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 500 or 500,100", param, ctx)
        if min(widths) < 1:
            self.fail(f"{value!r} has a width below 1", param, ctx)
        return widths


def training_options(function: Callable[..., None]) -> Callable[..., None]:
    """The two domains and every setting of the estimators, with the estimators' own defaults."""
    defaults = DomainAdaptedClassifier().get_params()
    numbers = [
        ("--weight", float, "How much the alignment counts beside the task (lambda)."),
        ("--penalty", float, "Cost of critic slopes other than 1 (gamma); wdgrl only."),
        ("--critic-steps", click.IntRange(1), "Critic steps on each batch; wdgrl only."),
        ("--steps", click.IntRange(1), "Training steps."),
        ("--batch-size", click.IntRange(1), "Rows of each domain in a step."),
        ("--learning-rate", float, "Of extractor and head."),
        ("--critic-learning-rate", float, "Of the critic or domain classifier."),
        ("--l2", float, "Cost of half the squared norm of the weights."),
        ("--validation-fraction", float, "Share held out to pick the best state without target labels."),
        ("--scale", click.Choice(SCALES), "Take features as they are, or log(1 + x): for word counts."),
        ("--device", str, "Where to train: cpu, or cuda with a GPU."),
        ("--hidden", Widths(), "Widths of the extractor's layers."),
        ("--critic-hidden", Widths(), "Widths of the critic's hidden layers."),
    ]
    for flag, kind, text in reversed(numbers):
        default = defaults[flag[2:].replace("-", "_")]
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else True
        function = click.option(flag, type=kind, default=default, show_default=shown, help=text)(function)
    for option in (
        click.option("--seed", type=Seed, default=0, show_default=True, help="Of all that is random."),
        click.option("--method", type=click.Choice(list(ALIGNMENTS)), default="wdgrl", show_default=True),
        click.option("--target", type=TableFile, required=True, help="Unlabelled rows; labels are ignored."),
        click.option(
            "--source", type=TableFile, required=True, help=f"Labelled rows ({', '.join(ENDINGS)})."
        ),
    ):
        function = option(function)
    return function


def make_estimator(
    kind: type[DomainAdaptedClassifier] | type[DomainAdaptedRegressor], options: dict[str, Any]
) -> Any:
    """An unfitted estimator with the settings that the options ask for."""
    settings = {name: options[name] for name in _SETTINGS}
    return kind(options["method"], steps=options["steps"], random_state=options["seed"], **settings)
