"""Items that came since a version was published: placed among its own by what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

import numpy as np

from cml.additions import Addition, Additions
from cml.artifact import Artifact
from cml.events.values import ItemState
from cml.features.values import fitting, known_features
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

NO_EXTRACTOR = "the version has no feature extractor"


class AddedItems:
    """The items added to one version. Each is placed once, and again when something else is said about it."""

    def __init__(self) -> None:
        self._items: Vocabulary | None = None
        self._known: dict[str, ItemState] = {}
        self._additions: Additions | None = None

    def to(self, artifact: Artifact, states: dict[str, ItemState]) -> Additions | None:
        """What these states, the latest last, add to the version; None when that is nothing."""
        if self._additions is None or self._items is not artifact.items:  # loaded again
            self._items, self._known, self._additions = artifact.items, {}, Additions.none(artifact)
        elif not self._additions.fits(artifact):  # changed metadata moves no item
            self._additions = Additions.of(
                (item for part in self._additions.parts for item in part), artifact
            )
        news = latest(states, self._known)
        if news:
            self._additions = self._taken_over(self._additions, news, artifact)
        return self._additions if len(self._additions) else None

    def _taken_over(self, additions: Additions, news: list[ItemState], artifact: Artifact) -> Additions:
        changed = list(zip(news, _additions(news, artifact), strict=True))
        self._known.update((state.item_id, state) for state in news)
        return additions.changed(
            [addition for _, addition in changed if addition is not None],
            gone=[state.item_id for state, addition in changed if addition is None],
        )


def latest(states: dict[str, ItemState], known: Mapping[str, ItemState]) -> list[ItemState]:
    """The states that are not known yet. Those that changed last stand last, so known ones are not looked through."""
    return list(takewhile(lambda state: known.get(state.item_id) is not state, reversed(states.values())))


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
