"""How all pictures look: one palette that survives colour blindness and grey print, one way to make a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
CYCLE = (BLUE, ORANGE, GREEN, PINK)


def new_figure(rows: int, columns: int, *, width: float = 11.0, height: float = 3.4) -> tuple[Figure, Any]:
    """A figure with (rows, columns) panels; `height` inches per row. Needs no display."""
    figure = Figure(figsize=(width, height * rows), layout="constrained", dpi=110)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.title.set_fontsize(10)
    return figure, panels[0] if rows == 1 else panels


def scatter(axes: Axes, points: np.ndarray, colour: str, label: str | None = None, size: float = 3.0) -> None:
    """Points (n, 2) as small translucent dots."""
    axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, alpha=0.5, linewidths=0, label=label)


def square(axes: Axes, limit: float) -> None:
    """Show [-limit, limit] in both directions, to scale, without ticks."""
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
