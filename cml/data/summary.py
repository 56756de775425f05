"""What a data set looks like before anybody trains on it: counts, density, head and tail, time range."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.data.dataset import Dataset

HEAD = 5  # most liked items to name
TAIL_BELOW = 5  # liked pairs; items with fewer are hard to place


def summarise(dataset: Dataset) -> dict[str, Any]:
    """Plain values, fit for JSON. Likes are liked pairs; `density` is their share of all possible pairs."""
    per_user = _counts(dataset.user_rows[dataset.liked], dataset.n_users)
    per_item = _counts(dataset.item_rows[dataset.liked], dataset.n_items)
    likes, disliked = int(per_item.sum()), int(np.count_nonzero(dataset.disliked))
    return {
        "pairs": len(dataset),
        "liked": likes,
        "disliked": disliked,
        "only_seen": len(dataset) - likes - disliked,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "density": likes / max(1, dataset.n_users * dataset.n_items),
        "likes_per_user": _spread(per_user),
        "likes_per_item": _spread(per_item),
        "head": {
            "share_of_top_1_percent": _share_of_top(per_item, 0.01),
            "share_of_top_10_percent": _share_of_top(per_item, 0.1),
            "most_liked": [
                {"item_id": dataset.items[row], "likes": int(per_item[row])}
                for row in np.argsort(-per_item, kind="stable")[:HEAD]
            ],
        },
        "tail": {
            "items_with_1_like": int(np.count_nonzero(per_item == 1)),
            f"items_below_{TAIL_BELOW}_likes": int(np.count_nonzero(per_item < TAIL_BELOW)),
        },
        "time": _time_range(dataset.timestamps),
    }


def _counts(rows: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    return np.bincount(rows, minlength=n)


def _spread(counts: NDArray[np.int64]) -> dict[str, float]:
    return {
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "mean": float(counts.mean()),
        "max": int(counts.max()),
    }


def _share_of_top(counts: NDArray[np.int64], fraction: float) -> float:
    """Which part of all likes the most liked items get, at least one item."""
    top = max(1, round(len(counts) * fraction))
    return float(np.sort(counts)[-top:].sum() / max(1, counts.sum()))


def _time_range(timestamps: NDArray[np.float64]) -> dict[str, Any]:
    known = timestamps[~np.isnan(timestamps)]
    if not len(known):
        return {"first": None, "last": None, "pairs_without": len(timestamps)}
    return {
        "first": _iso(float(known.min())),
        "last": _iso(float(known.max())),
        "pairs_without": len(timestamps) - len(known),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
