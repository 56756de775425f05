"""WDGRL on two domains whose shift is known: the features before and after, and what happens on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adversarial import toys
from adversarial.adaptation import Record
from adversarial.experiments.style import BLUE, GREEN, GREY, ORANGE, new_figure, scatter
from adversarial.validation import proxy_a_distance
from adversarial.wdgrl import DomainAdaptedClassifier

Pair = tuple[np.ndarray, np.ndarray]
"""Source and target."""
ROWS, SHIFT = 500, 3.0
SETTINGS: dict[str, Any] = {
    "hidden": (32,),
    "critic_hidden": (32,),
    "learning_rate": 2e-3,
    "critic_learning_rate": 2e-3,
    "l2": 0.0,
}


@dataclass(frozen=True)
class Result:
    """Two-dimensional views of the features, and four curves over the same steps."""

    before: Pair
    """Source and target rows on the first two principal axes of both, (n, 2) each."""
    after: Pair
    labels: Pair
    steps: np.ndarray
    gap: np.ndarray
    """The critic's estimate of the distance between the domains [WDGRL-1]."""
    target_accuracy: np.ndarray
    source_only_accuracy: float
    a_distance: np.ndarray


def run(*, seed: int = 0, effort: float = 1.0) -> Result:
    """Train WDGRL for 2,000 * effort steps on `toys.shifted_clusters`, and source-only beside it.

    Target labels are used to draw the picture, never to train.
    """
    world = toys.shifted_clusters(ROWS, shift=SHIFT, randomness=torch.Generator().manual_seed(seed))
    source, target = world.source.numpy(), world.target.numpy()
    steps = max(20, round(2000 * effort))
    model = DomainAdaptedClassifier(
        "wdgrl", steps=steps, record_every=steps // 20, random_state=seed, **SETTINGS
    )
    accuracy, distance = [], []

    def observe(_record: Record) -> None:
        with torch.no_grad():
            on_source, on_target = (model.network_.features(rows) for rows in (world.source, world.target))
            predicted = model.network_.head(on_target).argmax(dim=1)
        accuracy.append(float((predicted == world.target_labels).double().mean()))
        distance.append(proxy_a_distance(on_source.numpy(), on_target.numpy(), np.random.default_rng(seed)))

    model.fit(source, world.source_labels.numpy(), target, observe=observe)
    alone = DomainAdaptedClassifier("source-only", steps=steps, random_state=seed, **SETTINGS)
    alone.fit(source, world.source_labels.numpy(), target)
    return Result(
        before=_plane(source, target),
        after=_plane(model.transform(source), model.transform(target)),
        labels=(world.source_labels.numpy(), world.target_labels.numpy()),
        steps=np.array([record["step"] for record in model.history_]),
        gap=np.array([record["alignment_loss"] for record in model.history_]),
        target_accuracy=np.array(accuracy),
        source_only_accuracy=float(alone.score(target, world.target_labels.numpy())),
        a_distance=np.array(distance),
    )


def draw(result: Result) -> Figure:
    """Inputs, adapted features, and the curves."""
    figure, (first, second, third) = new_figure(1, 3, height=3.7)
    _draw_plane(first, result.before, result.labels, "Inputs, two principal axes")
    _draw_plane(second, result.after, result.labels, "WDGRL features, two principal axes")
    first.legend(markerscale=4, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncol=2)
    third.plot(result.steps, result.target_accuracy, color=BLUE, label="target accuracy")
    third.axhline(result.source_only_accuracy, color=BLUE, linestyle=":", label="source-only accuracy")
    third.plot(result.steps, result.a_distance / 2, color=ORANGE, label="proxy A-distance / 2")
    third.plot(result.steps, result.gap, color=GREEN, label="critic's gap")
    third.axhline(0, color=GREY, linewidth=0.5)
    third.set(title="Over training", xlabel="steps")
    third.legend(fontsize=7)
    return figure


def text(result: Result) -> str:
    """What is seen, with the numbers of this run."""
    return (
        "Two classes (light and dark) in two domains (blue: labelled source, orange: target without labels). "
        "Left: the target is the source moved to the side, so that a boundary learned on the source cuts "
        f"through it: without adaptation {100 * result.source_only_accuracy:.0f} % of the target are right. "
        "Middle: in the adapted features the domains lie on one another and the classes stay apart. Right: the "
        "critic's gap and the proxy A-distance fall, the accuracy on the target rises to "
        f"{100 * result.target_accuracy[-1]:.0f} %. The gap alone would not be enough: features that are "
        "constant have none either, which is why the classes have to be looked at too."
    )


def _plane(source: np.ndarray, target: np.ndarray) -> Pair:
    """Both sets on the two principal axes of their union."""
    both = np.concatenate([source, target])
    centre = both.mean(axis=0)
    axes = np.linalg.svd(both - centre, full_matrices=False)[2][:2]
    return (source - centre) @ axes.T, (target - centre) @ axes.T


def _draw_plane(axes: Axes, points: Pair, labels: Pair, title: str) -> None:
    palette = {
        ("source", 0): "#9ecae1",
        ("source", 1): "#08519c",
        ("target", 0): "#fdae6b",
        ("target", 1): "#a63603",
    }
    for domain, rows, classes in zip(("source", "target"), points, labels, strict=True):
        for label in (0, 1):
            scatter(axes, rows[classes == label], palette[domain, label], f"{domain}, class {label}", size=8)
    axes.set(title=title, xticks=[], yticks=[])
