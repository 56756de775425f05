"""Which pairs judge a retraining, which choose its epoch, and what is left to learn from: by time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.data.dataset import Dataset
from cml.errors import DataError


@dataclass(frozen=True)
class Parts:
    """Pairs in order of time: to learn from, to choose the epoch on, to judge on. All over the same ids."""

    learn: Dataset
    choose: Dataset  # may be empty
    rest: Dataset  # learn and choose: what the judged candidate was trained on
    judged: Dataset  # liked pairs only


def parts(data: Dataset, unseen: NDArray[np.bool_], share: float) -> Parts:
    """Judge on the latest liked pairs among `unseen` (len(data),), choose on as many before them.

    The judged are `share` of all liked pairs, and at most two thirds of the unseen ones; a pair of unknown time
    counts as the earliest. Unseen pairs that are not liked, from the first held-out pair on, are dropped.
    Raises DataError without a time to go by, or when nothing liked is left to learn from.
    """
    fresh = np.flatnonzero(data.liked & unseen)
    if np.isnan(data.timestamps[fresh]).all():
        raise DataError(
            "the latest pairs are judged on, and none that could be has a time; name the column with "
            "--timestamp-column, or use cml train --hold-out and cml models publish"
        )
    order = fresh[np.argsort(np.nan_to_num(data.timestamps[fresh], nan=-np.inf), kind="stable")]
    n = min(max(1, round(share * int(data.liked.sum()))), max(1, 2 * len(fresh) // 3))
    judged, choose = order[-n:], order[-2 * n : -n]
    rest = _before(data, unseen, judged)
    learn = rest & _before(data, unseen, choose) if len(choose) else rest
    if not (data.liked & learn).any():
        raise DataError(
            f"of {int(data.liked.sum()):,} liked pairs none is left to learn from when the latest are judged on; "
            "gather more data, or lower --judge-share"
        )
    return Parts(data.take(learn), data.take(choose), data.take(rest), data.take(judged))


def _before(data: Dataset, unseen: NDArray[np.bool_], held: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask of what may be learned from while `held` is held out."""
    stay = np.ones(len(data), dtype=bool)
    stay[held] = False
    stay[~data.liked & unseen & (data.timestamps >= np.nanmin(data.timestamps[held], initial=np.inf))] = False
    return stay
