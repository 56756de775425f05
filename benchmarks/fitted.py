"""What a fit leaves behind, and how it is judged: every model by the same ranking and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.evaluation.evaluate import Evaluation, score
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen_by

K = 50
KS = (10, 20, 50)
CHOOSES = "recall@50"  # the validation metric by which configuration and epoch are chosen

Lists = Callable[[HeldOut, int], NDArray[np.int32]]  # the k unseen items for each held-out user, best first


@dataclass(frozen=True)
class Fitted:
    """A model after some epochs; `seconds` of fitting up to here, saving and judging left out."""

    lists: Lists
    epoch: int
    seconds: float
    cpu_seconds: float


def by_inner_product(users: NDArray, items: NDArray) -> Lists:
    """Lists of the items with the largest inner products; users (n, d), items (m, d)."""

    def lists(held_out: HeldOut, k: int) -> NDArray[np.int32]:
        rows = users[held_out.user_rows]
        return top_unseen_by(lambda block: rows[block] @ items.T, held_out.seen, k)

    return lists


def judged(model: Fitted, held_out: HeldOut) -> Evaluation:
    """The model's lists on held-out pairs."""
    return score(model.lists(held_out, K), held_out, KS)
