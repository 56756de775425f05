"""A picture of the history: quality, data and drift over time. Needs the extra `plot`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cml.retraining.past import of_version_before

PUBLISHED = "published"
QUALITY = {"candidate": "new model", "before": "version before", "baseline popularity": "popularity"}
DRIFT = {"cold_users": "cold users", "popularity_shift": "popularity shift", "displacement": "items moved by"}


def figure_of(rows: Sequence[dict[str, Any]]) -> Figure:
    """Three panels over the same time: what lists are worth, how much is known, how much things move."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    quality, size, drift = figure.subplots(3, 1, sharex=True)
    metric = next((row["metric"] for row in reversed(rows) if row.get("metric")), "quality")
    _lines(quality, [row | {"before": of_version_before(row)} for row in rows], QUALITY)
    refused = [row for row in rows if row.get("candidate") is not None and row["outcome"] != PUBLISHED]
    quality.plot(*_points(refused, "candidate"), "rx", markersize=9, label="refused")
    quality.set_ylabel(metric)
    _lines(size, rows, {"users": "users", "items": "items", "liked": "likes", "new": "new likes"})
    size.set_yscale("symlog", linthresh=1)
    size.set_ylabel("count")
    _lines(drift, rows, DRIFT)
    drift.set_ylabel("share, distance")
    drift.set_xlabel("began")
    for panel in (quality, size, drift):
        panel.grid(alpha=0.3)
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.autofmt_xdate()
    return figure


def _lines(panel: Axes, rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    for column, label in columns.items():
        panel.plot(*_points(rows, column), "o-", markersize=4, label=label)


def _points(
    rows: Sequence[dict[str, Any]], column: str
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    known = [row for row in rows if row.get(column) is not None]
    began = [datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None) for row in known]
    return np.array(began, dtype="datetime64[s]"), np.array([row[column] for row in known], dtype=np.float64)
