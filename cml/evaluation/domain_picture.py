"""Two catalogues before and after adaptation, on the same two axes. Needs the extra `plot`."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cml.evaluation.domains import Sight

COLOURS = {"source": "tab:blue", "target": "tab:orange"}
BINS = 40


def figure_of(before: Sight, after: Sight) -> Figure:
    """A column each for before and after: how the places lie along the first axis, and where they are.

    The axes are those of `plane`, of both together, and both columns have the same scale.
    """
    axes = plane(before, after)
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(1, 3))
    shown = [_projected(sight, axes) for sight in (before, after)]
    bins = np.histogram_bin_edges(
        np.concatenate([rows[:, 0] for each in shown for rows in each.values()]), BINS
    )
    for column, (title, sight, ends) in enumerate(
        zip(("before: fitted to the source alone", "after"), (before, after), shown, strict=True)
    ):
        above, below = panels[0, column], panels[1, column]
        _outlines(above, ends, bins)
        above.set_title(f"{title}\nW1 {sight.report.sliced:.4f}, A-distance {sight.report.a_distance:.2f}")
        _points(below, ends)
    panels[0, 0].set_ylabel("share of items")
    panels[1, 0].set_ylabel("across it: where the places vary most")
    for panel in panels[1]:
        panel.set_xlabel("from the source's mean to the target's, before")
    figure.legend(
        *panels[1, 1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def plane(before: Sight, after: Sight) -> NDArray[np.float64]:
    """Two orthonormal directions (dim, 2) in which to look at both.

    From the source's mean to the target's before, and the first principal direction of all places across it.
    """
    gap = before.target.mean(axis=0, dtype=np.float64) - before.source.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(gap))
    first = gap / length if length > 0 else np.eye(len(gap))[0]
    rows = np.concatenate([before.source, before.target, after.source, after.target]).astype(np.float64)
    rows -= rows.mean(axis=0)
    rows -= np.outer(rows @ first, first)
    second = np.linalg.eigh(rows.T @ rows)[1][:, -1]
    return np.stack([first, second * np.sign(second[np.abs(second).argmax()])], axis=1)


def _projected(sight: Sight, axes: NDArray) -> dict[str, NDArray]:
    return {"source": sight.source @ axes, "target": sight.target @ axes}


def _outlines(panel: Axes, ends: dict[str, NDArray], bins: NDArray) -> None:
    for name, rows in ends.items():
        weights = np.full(len(rows), 1 / len(rows))
        panel.hist(rows[:, 0], bins=bins.tolist(), weights=weights, color=COLOURS[name], alpha=0.5)
        panel.axvline(rows[:, 0].mean(), color=COLOURS[name])


def _points(panel: Axes, ends: dict[str, NDArray]) -> None:
    """The larger catalogue below the smaller one."""
    for name, rows in sorted(ends.items(), key=lambda end: -len(end[1])):
        panel.scatter(
            rows[:, 0], rows[:, 1], s=6, alpha=0.5, color=COLOURS[name], label=f"{name}, {len(rows):,}"
        )
    panel.grid(alpha=0.3)
