"""Snapshot in, list out: the one place that decides how an answer is made.

Knows no HTTP; the command line and the service both call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from cml import listing
from cml.answers import Because, Recommendations, Recommended
from cml.errors import QueryError
from cml.fold_in import HALF_LIFE, recency_weights
from cml.newcomers import prior_of
from cml.query import ListOptions, Query
from cml.selection import Selection, select
from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW

__all__ = [
    "Because",
    "Fallback",
    "Recommendations",
    "Recommended",
    "Signal",
    "popular",
    "recommend",
    "recommend_batch",
    "recommend_session",
    "similar_items",
]

PERSONAL = "personal"  # from the user's point in the model
SESSION = "session"  # from a point folded in for a user that the model does not know
FEATURES = "features"  # from the place that the features of such a user give, without any like
SESSION_FEATURES = "session-features"  # from a point folded in from likes and features
SIMILAR = "similar"
_LEAST = 1e-300  # weight of a signal, however old: it counts next to nothing and is liked all the same
Fallback = Literal["popular", "trending", "recent"]


class Signal(NamedTuple):
    """A like or a dislike: the item, how much it counts, and when it happened (seconds since 1970)."""

    item_id: str
    weight: float = 1.0
    time: float | None = None


def recommend(
    snapshot: Snapshot, user_id: str, *, fallback: Fallback = "popular", **options: Unpack[ListOptions]
) -> Recommendations:
    """The items nearest to a user, nearest first; `options` are those of `Query`.

    A user that the version does not know gets the fallback list, and the strategy says so. Raises QueryError.
    """
    query = Query(**options)
    user_row = snapshot.user_row(user_id)
    if user_row == UNKNOWN_ROW:
        return popular(snapshot, by=fallback, **options)
    selection: Selection | None = None
    skipped: tuple[str, ...] = ()
    if query.restricted or not query.exclude_seen or len(snapshot.hidden):
        selection, skipped = select(snapshot, query, snapshot.seen_rows(user_row))
    # The precomputed list lacks the seen items, so it serves all queries but those that want them back.
    ranking = listing.stored(snapshot, user_row, selection, query) if query.exclude_seen else None
    if ranking is None:
        selection = selection or Selection(None, snapshot.seen_rows(user_row))
        ranking = listing.nearest(snapshot, selection, snapshot.artifact.user_vectors[user_row], query)
    own = snapshot.liked_rows(user_row) if query.because else None
    return listing.answer(snapshot, PERSONAL, query, ranking, skipped=skipped, own=own)


def recommend_batch(
    snapshot: Snapshot,
    user_ids: Iterable[str],
    *,
    fallback: Fallback = "popular",
    **options: Unpack[ListOptions],
) -> Iterator[Recommendations]:
    """`recommend` for many users, one list each in the order given, computed while they are taken.

    A query that makes no sense raises at once, before the first list.
    """
    select(snapshot, Query(**options))
    return (recommend(snapshot, user_id, fallback=fallback, **options) for user_id in user_ids)


def recommend_session(
    snapshot: Snapshot,
    liked: Sequence[Signal],
    disliked: Sequence[Signal] = (),
    *,
    user_id: str | None = None,
    features: Mapping[str, object] | None = None,
    half_life: float = HALF_LIFE,
    fallback: Fallback = "popular",
    **options: Unpack[ListOptions],
) -> Recommendations:
    """The items nearest to somebody known by these likes and dislikes, nearest first.

    With the `user_id` of a user in the version, the signals are added to what training knows of them. Newer
    likes count more (half as much per `half_life` seconds of age); an item both liked and disliked is
    disliked. The session's own items count as seen; disliked ones never come back. Without any known liked
    item it is the fallback list.

    features: what is known of a user outside the version, by column. Their place is a prior of the fold-in with the
    weight of `user_features.weight` likes, and where no liked item is known it is the user's point. A user in the
    version is where training put them. Raises QueryError, also for features that the version cannot use.
    """
    query = Query(**options)
    user_row = UNKNOWN_ROW if user_id is None else snapshot.user_row(user_id)
    prior = None if features is None else prior_of(snapshot.artifact, features)
    if user_row != UNKNOWN_ROW:
        prior = None
    likes, unknown_likes = _rows_and_weights(snapshot, liked, half_life)
    dislikes, unknown_dislikes = _rows_and_weights(snapshot, disliked, half_life)
    history: NDArray[np.integer] = np.empty(0, dtype=np.int64)
    if user_row != UNKNOWN_ROW:
        history = snapshot.seen_rows(user_row)
        likes = {int(row): 1.0 for row in snapshot.liked_rows(user_row)} | likes
    likes = {row: weight for row, weight in likes.items() if row not in dislikes}
    seen = np.array(sorted({*history.tolist(), *likes, *dislikes}), dtype=np.int64)
    selection, skipped = select(snapshot, query, seen)
    selection = selection.without(list(dislikes))
    skipped = tuple(dict.fromkeys([*unknown_likes, *unknown_dislikes, *skipped]))
    if not likes:
        if prior is None:
            return _everybody(snapshot, fallback, query, selection, skipped)
        ranking = listing.nearest(snapshot, selection, prior.place, query)
        return listing.answer(snapshot, FEATURES, query, ranking, skipped=skipped)
    start = None if user_row == UNKNOWN_ROW else snapshot.artifact.user_vectors[user_row]
    own = np.array(list(likes), dtype=np.int64)
    point = snapshot.fold_in.point(
        own,
        np.array(list(likes.values())),
        disliked=np.array(list(dislikes), dtype=np.int64),
        disliked_weights=np.array(list(dislikes.values())),
        start=start,
        prior=prior,
    )
    ranking = listing.nearest(snapshot, selection, point, query)
    strategy = PERSONAL if start is not None else SESSION if prior is None else SESSION_FEATURES
    return listing.answer(snapshot, strategy, query, ranking, skipped=skipped, own=own)


def similar_items(snapshot: Snapshot, item_id: str, **options: Unpack[ListOptions]) -> Recommendations:
    """The items nearest to an item, without itself, nearest first.

    Raises VocabularyError for an unknown item, QueryError, also for an item without a place.
    """
    query = Query(**options)
    row = snapshot.require_place(item_id)
    selection, skipped = select(snapshot, query)
    point = snapshot.stock.vectors(np.array([row]))[0]
    ranking = listing.nearest(snapshot, selection.without([row]), point, query)
    return listing.answer(snapshot, SIMILAR, query, ranking, skipped=skipped)


def popular(
    snapshot: Snapshot, *, by: Fallback = "popular", **options: Unpack[ListOptions]
) -> Recommendations:
    """The same list for everybody: most liked, trending (recent likes count more) or recent (newest first).

    Without times in the data, trending and recent fall back to popular, and the strategy says so. The score
    is the number of likes, the decayed number of likes, or the time of the item's first interaction.
    """
    query = Query(**options)
    selection, skipped = select(snapshot, query)
    return _everybody(snapshot, by, query, selection, skipped)


def _everybody(
    snapshot: Snapshot, by: Fallback, query: Query, selection: Selection, skipped: tuple[str, ...]
) -> Recommendations:
    order = snapshot.order(by)
    rows = selection.first(order.rows, query.end)[query.offset :]
    scores = order.scores[rows]

    def describe() -> list[Recommended]:
        cards = (snapshot.card(row) for row in rows.tolist())
        return [
            Recommended(item_id, row, None, score, record)
            for (item_id, record), row, score in zip(cards, rows.tolist(), scores.tolist(), strict=True)
        ]

    return Recommendations(
        snapshot.version, order.name, query.k, query.offset, rows, scores, False, describe, skipped
    )


def _rows_and_weights(
    snapshot: Snapshot, signals: Sequence[Signal], half_life: float
) -> tuple[dict[int, float], list[str]]:
    """Weights by item row, and the unknown ids. Of several signals about an item the weights add up."""
    weights: dict[int, float] = {}
    unknown: list[str] = []
    if not signals:
        return weights, unknown
    find = snapshot.stock.find_placed
    for signal, recency in zip(signals, _recencies(signals, half_life), strict=True):
        if not signal.weight > 0:
            raise QueryError(f"weight {signal.weight} of {signal.item_id!r}: weights are greater than 0")
        row = find(signal.item_id)
        if row == UNKNOWN_ROW:
            unknown.append(signal.item_id)
        else:
            weights[row] = weights.get(row, 0.0) + max(signal.weight * recency, _LEAST)
    return weights, unknown


def _recencies(signals: Sequence[Signal], half_life: float) -> list[float]:
    if all(signal.time is None for signal in signals):
        return [1.0] * len(signals)
    times = [np.nan if signal.time is None else signal.time for signal in signals]
    return recency_weights(np.array(times, dtype=np.float64), half_life).tolist()
