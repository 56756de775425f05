"""Looking items up: what the version in use says about them."""

from __future__ import annotations

from cml.snapshot import Snapshot
from cml.vocabulary import UNKNOWN_ROW
from service.added import placing_features
from service.encoding import split_record
from service.errors import unknown
from service.live import Live
from service.pages import Pages
from service.schemas import Item, ItemMatches


class ItemLookup:
    """Items by id and by title."""

    def __init__(self, pages: Pages, live: Live) -> None:
        self._pages = pages
        self._live = live

    def item(self, item_id: str) -> Item:
        """One item. Raises Problem 404 when neither the version nor the event store knows it."""
        snapshot = self._pages.shown()
        row = snapshot.stock.find(item_id)
        if row != UNKNOWN_ROW:
            return _known(snapshot, row, self._live)
        state = self._live.items.get(item_id)
        if state is None:
            raise unknown("item", item_id)
        return Item(
            item_id=item_id,
            title=None,
            metadata={},
            hidden=state.hidden,
            in_model=False,
            liked_by=0,
            placed=False,
            reason="nothing is said about it",
        )

    def search(self, title: str, limit: int) -> ItemMatches:
        """Items whose title holds every word."""
        snapshot = self._pages.shown()
        rows = snapshot.stock.search_titles(title, limit)
        return ItemMatches(
            model_version=snapshot.version, items=[_known(snapshot, row, self._live) for row in rows]
        )


def _known(snapshot: Snapshot, row: int, live: Live) -> Item:
    item_id, record = snapshot.card(row)
    title, metadata = split_record(record)
    state = live.items.get(item_id)
    addition = snapshot.stock.addition(row)
    return Item(
        item_id=item_id,
        title=title,
        metadata=metadata,
        hidden=state is not None and state.hidden,
        in_model=addition is None,
        liked_by=int(snapshot.artifact.popularity[row]) if addition is None else 0,
        placed=row < snapshot.stock.n_placed,
        placed_by=[] if addition is None or state is None else placing_features(state, snapshot.artifact),
        reason=None if addition is None else addition.reason,
    )
