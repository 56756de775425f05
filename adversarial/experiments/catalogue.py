"""The experiments by name, in the order in which they explain one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from adversarial.experiments import adaptation, clipping, generators, identities, surfaces, vanishing


@dataclass(frozen=True)
class Experiment:
    """`run(seed=, effort=)` returns numbers; `draw` and `text` show and explain them."""

    name: str
    title: str
    run: Callable[..., Any]
    draw: Callable[[Any], Figure]
    text: Callable[[Any], str]


def _of(name: str, title: str, module: Any) -> Experiment:
    return Experiment(name, title, module.run, module.draw, module.text)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        _of("identities", "What a GAN's loss measures", identities),
        _of("vanishing", "A better discriminator teaches less", vanishing),
        _of("clipping", "What weight clipping does to a critic", clipping),
        _of("surfaces", "What critics see", surfaces),
        _of("generators", "Four methods, judged by exact distance", generators),
        _of("adaptation", "Features that do not tell their domain", adaptation),
    )
}
NAMES = tuple(EXPERIMENTS)
