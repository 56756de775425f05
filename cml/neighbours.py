"""Users near users, and users near items: the same space asked the other way round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cml.answers import Neighbour
from cml.errors import QueryError, VocabularyError
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW


def similar_users(snapshot: Snapshot, user_id: str, *, k: int = 20, offset: int = 0) -> list[Neighbour]:
    """The users nearest to a user, without themselves, nearest first.

    Raises VocabularyError for an unknown user, QueryError.
    """
    row = snapshot.user_row(user_id)
    if row == UNKNOWN_ROW:
        raise VocabularyError(f"user {user_id!r} is not known to version {snapshot.version}")
    return _nearest(snapshot, snapshot.artifact.user_vectors[row], {row}, k, offset)


def users_for_item(
    snapshot: Snapshot, item_id: str, *, k: int = 20, offset: int = 0, exclude_seen: bool = True
) -> list[Neighbour]:
    """The users nearest to an item, nearest first, by default only those who have not interacted with it.

    Raises VocabularyError for an unknown item, QueryError, also for an item without a place.
    """
    row = snapshot.require_place(item_id)
    blocked = set(snapshot.users_of(row).tolist()) if exclude_seen else set()
    return _nearest(snapshot, snapshot.stock.vectors(np.array([row]))[0], blocked, k, offset)


def _nearest(
    snapshot: Snapshot, point: NDArray[np.float32], blocked: set[int], k: int, offset: int
) -> list[Neighbour]:
    if k < 1 or offset < 0:
        raise QueryError(f"k = {k}, offset = {offset}: k is at least 1 and offset at least 0")
    blocked = blocked | snapshot.erased
    needed = min(offset + k + len(blocked), len(snapshot.artifact.users))
    rows, squared = snapshot.user_index.nearest(point, needed)
    near = [
        Neighbour(snapshot.artifact.users[row], row, distance)
        for row, distance in zip(rows.tolist(), np.sqrt(squared).tolist(), strict=True)
        if row not in blocked
    ]
    return near[offset : offset + k]
