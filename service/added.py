"""Items that came since a version was published: placed among its own by what is said about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cml.artifact import Artifact
from cml.events.values import ItemState
from cml.features.values import fitting, known_features
from cml.stock import Addition, Additions
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

NO_EXTRACTOR = "the version has no feature extractor"


class AddedItems:
    """The items added to one version. Each is placed once, and again when something else is said about it."""

    def __init__(self) -> None:
        self._items: Vocabulary | None = None
        self._placed: dict[str, tuple[ItemState, Addition | None]] = {}

    def to(self, artifact: Artifact, states: Mapping[str, ItemState]) -> Additions | None:
        """What these states add to the version; None when that is nothing."""
        if self._items is not artifact.items:  # loaded again; changed metadata alone moves no item
            self._items, self._placed = artifact.items, {}
        news = [state for state in states.values() if self._is_news(state)]
        for state, addition in zip(news, _additions(news, artifact), strict=True):
            self._placed[state.item_id] = state, addition
        added = [found for item_id in states if (found := self._placed[item_id][1]) is not None]
        if not added:
            return None
        return Additions.of(sorted(added, key=lambda item: float(np.nan_to_num(item.added_at))), artifact)

    def _is_news(self, state: ItemState) -> bool:
        known = self._placed.get(state.item_id)
        return known is None or known[0] is not state


def _additions(states: list[ItemState], artifact: Artifact) -> list[Addition | None]:
    """Each item as an addition; None for one of the version's own, and where nothing was said but `hidden`."""
    own = artifact.items.rows([state.item_id for state in states])
    new = [state.says_anything and row == UNKNOWN_ROW for state, row in zip(states, own, strict=True)]
    placed = iter(place([state for state, is_new in zip(states, new, strict=True) if is_new], artifact))
    return [next(placed) if is_new else None for is_new in new]


def place(states: list[ItemState], artifact: Artifact) -> list[Addition]:
    """Each item with its place in the version, or with the reason why it has none."""
    if artifact.placer is None:
        return [_addition(state, reason=NO_EXTRACTOR) for state in states]
    encoder = artifact.placer.encoder
    placement = artifact.placer.place([fitting(encoder, state.said) for state in states])
    names = ", ".join(feature.column for feature in encoder.schema.features)
    reason = f"none of its features ({names}) has a value that the version knows"
    return [
        _addition(state, vector=vector) if known else _addition(state, reason=reason)
        for state, vector, known in zip(states, placement.vectors, placement.known, strict=True)
    ]


def placing_features(state: ItemState, artifact: Artifact) -> list[str]:
    """The features by which an item is placed in a version."""
    if artifact.placer is None:
        return []
    encoder = artifact.placer.encoder
    return list(known_features(encoder, fitting(encoder, state.said)))


def _addition(state: ItemState, *, vector: np.ndarray | None = None, reason: str | None = None) -> Addition:
    added_at = np.nan if state.added_at is None else state.added_at
    return Addition(state.item_id, state.metadata or {}, added_at, vector, reason)
