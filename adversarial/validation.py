"""When to stop without looking at a single label of the target.

The rule: among the states of a run, keep the one with the smallest sum of the error on held-out source rows
and half the proxy A-distance between held-out source and target features. Ben-David et al. (2010) bound the
target's error by that sum plus a term that training cannot see, so this lowers the part that can be seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from adversarial.adaptation import Record
from adversarial.errors import SettingError

Features = NDArray[np.float32]


def proxy_a_distance(source: Features, target: Features, rng: np.random.Generator) -> float:
    """2 (1 - 2 error) of a linear classifier that tells the domains apart, in [0, 2]: 0 means it cannot.

    source: (n, dim), target: (m, dim), at least 2 rows each. The classifier learns on half of the rows and
    is judged on the other half; domains count equally whatever their sizes.
    """
    halves = [_halves(rows, rng) for rows in (source, target)]
    learn, judge = (np.concatenate([halves[0][side], halves[1][side]]) for side in (0, 1))
    domain = [np.repeat([0, 1], [len(halves[0][side]), len(halves[1][side])]) for side in (0, 1)]
    scaler = StandardScaler().fit(learn)
    classifier = LogisticRegression(C=0.01, max_iter=200, class_weight="balanced")
    classifier.fit(scaler.transform(learn), domain[0])
    wrong = classifier.predict(scaler.transform(judge)) != domain[1]
    error = (wrong[domain[1] == 0].mean() + wrong[domain[1] == 1].mean()) / 2
    return float(max(0.0, 2 * (1 - 2 * error)))


def adaptation_bound(source_error: float, a_distance: float) -> float:
    """The rule's number, smaller is better. source_error: share of wrong labels, or 1 - R^2 for numbers."""
    return source_error + a_distance / 2


@dataclass
class BestState:
    """Remembers a network's weights at the smallest bound seen so far; the earliest wins a tie."""

    network: nn.Module
    bound: Callable[[], float]
    best: float = field(default=float("inf"), init=False)
    best_step: int = field(default=0, init=False)
    _weights: dict[str, object] = field(default_factory=dict, init=False)

    def consider(self, step: int) -> float:
        """Measure the bound now, keep the weights if it is the smallest; returns it."""
        value = self.bound()
        if value < self.best:
            self.best, self.best_step = value, step
            self._weights = copy.deepcopy(self.network.state_dict())
        return value

    def before(self, observe: Callable[[Record], None] | None) -> Callable[[Record], None]:
        """An observer that considers each record first and adds its bound, then passes it on."""

        def look(record: Record) -> None:
            record["bound"] = self.consider(int(record["step"]))
            if observe is not None:
                observe(record)

        return look

    def restore(self) -> None:
        """Put the best weights back."""
        if self._weights:
            self.network.load_state_dict(self._weights)


def held_out_rows(count: int, share: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows held out: `share` of all, but at least 4 on either side."""
    if count < 8:
        raise SettingError(
            f"validation needs at least 8 rows of each domain, there are {count}; leave it off"
        )
    size = min(max(round(count * share), 4), count - 4)
    order = torch.from_numpy(rng.permutation(count))
    return order[size:], order[:size]


def _halves(rows: Features, rng: np.random.Generator) -> tuple[Features, Features]:
    order = rng.permutation(len(rows))
    middle = len(rows) // 2
    return rows[order[:middle]], rows[order[middle:]]
