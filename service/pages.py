"""What one list is cut from: version, events that count, masks, and the part that a cursor names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, NamedTuple

from cml.additions import Additions
from cml.catalogue import AVAILABLE_FROM, AVAILABLE_UNTIL
from cml.errors import QueryError
from cml.snapshot import Snapshot
from service import cursors
from service.asked import ListOptions
from service.cursors import Cursor
from service.edits import Masks
from service.errors import invalid
from service.experiments import Assignment
from service.live import Live, added_mark
from service.settings import Settings
from service.store import SnapshotStore

_ALWAYS_ASKED = ("k", "offset")
_PASSED_ON = frozenset({"exclude_seen", "exclude", "allow", "where", "max_distance", "diversity"})


class Page(NamedTuple):
    """Everything that decides a list, taken at one moment."""

    snapshot: Snapshot
    variant: str | None
    mark: str  # stands in the recommendation id between the version and the list's own number
    cursor: Cursor
    k: int
    asked: dict[str, Any]  # the options as `cml.recommend` takes them

    @property
    def plain(self) -> bool:
        """Whether this is the beginning of a listing without any options, not even implied ones."""
        return len(self.asked) == len(_ALWAYS_ASKED) and self.cursor.offset == 0

    @property
    def restricted(self) -> bool:
        """Whether a filter or an allow list decides what may appear."""
        return "where" in self.asked or "allow" in self.asked

    def following(self, n_items: int, max_depth: int) -> str | None:
        """The cursor of the page after this one, which has `n_items`; None at the end."""
        end = self.cursor.offset + self.k
        if n_items < self.k or end >= max_depth:
            return None
        return str(
            Cursor(self.snapshot.version, end, self.cursor.through, self.cursor.added, self.cursor.listing)
        )


class Pages:
    """Makes pages. For the event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        store: SnapshotStore,
        live: Live,
        masks: Masks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._live = live
        self._clock = clock
        self.assignment = Assignment(store, live)
        self.masks = masks

    def shown(self) -> Snapshot:
        """The current version as it must be shown now."""
        self._live.refresh_for_answer()
        return self.masks.apply(self._store.current)

    def page(self, options: ListOptions, user_id: str | None = None) -> Page:
        """The page that the options ask for. Raises Problem 410, 422, 503."""
        self._live.refresh_for_answer()
        listing = cursors.fingerprint(options)
        k = self.length(options.k)
        self.require_short("exclude", options.exclude)
        self.require_short("allow", options.allow or ())
        snapshot, variant, mark = self.assignment.of(user_id)
        cursor = Cursor(snapshot.version, 0, self._live.newest_event, self._live.newest_item, listing)
        if options.cursor is not None:
            cursor, snapshot = self._continued(options.cursor, listing, k)
        shown = self.masks.apply(snapshot)
        asked = self._asked(shown, options, k, cursor.offset)
        if cursor.added != self._live.newest_item and shown.stock.added is not None:
            asked["exclude"] = [*options.exclude, *_later(shown.stock.added, cursor.added)]
        return Page(shown, variant, mark, cursor, k, asked)

    def length(self, k: int | None) -> int:
        """The length of a list that asks for `k` (None: the default). Raises Problem 422."""
        if k is None:
            return min(self._settings.default_k, self._settings.max_k)
        if k > self._settings.max_k:
            raise invalid(f"k = {k}: at most {self._settings.max_k}; use the cursor for more")
        return k

    def require_short(self, name: str, listed: Sequence[object]) -> None:
        """Raises Problem 422 for a list of ids beyond the limit."""
        if len(listed) > self._settings.max_list:
            raise invalid(f"{name}: {len(listed)} ids, at most {self._settings.max_list}")

    def _continued(self, text: str, listing: str, k: int) -> tuple[Cursor, Snapshot]:
        cursor = cursors.parse(text, listing)
        if cursor.offset + k > self._settings.max_depth:
            raise invalid(f"cursor: a listing can be read up to item {self._settings.max_depth}")
        snapshot = self._store.get(cursor.version)
        if snapshot is None:
            raise cursors.expired(cursor.version)
        return cursor, snapshot

    def _asked(self, snapshot: Snapshot, options: ListOptions, k: int, offset: int) -> dict[str, Any]:
        asked: dict[str, Any] = {"k": k, "offset": offset}
        for name in options.model_fields_set & _PASSED_ON:
            asked[name] = getattr(options, name)
        if options.explain:
            asked["because"] = options.explain
        moment = self._moment(snapshot, options.available_at)
        if moment is not None:
            asked["available_at"] = moment
        return asked

    def _moment(self, snapshot: Snapshot, asked: str | None) -> float | str | None:
        if asked is None:
            columns = snapshot.stock.columns
            return self._clock() if AVAILABLE_FROM in columns or AVAILABLE_UNTIL in columns else None
        if asked == "now":
            return self._clock()
        try:
            return float(asked)
        except ValueError:
            return asked


def _later(added: Additions, mark: int) -> list[str]:
    """Ids of the items added after a mark: in the middle of a listing they would push others onto the next page."""
    return [
        item.item_id
        for part in added.parts
        for item in takewhile(lambda item: added_mark(item.added_at) > mark, reversed(part))
    ]


@contextmanager
def refusals() -> Iterator[None]:
    """What the recommender refuses to answer, as the problem that the caller gets."""
    try:
        yield
    except QueryError as error:
        raise invalid(str(error)) from None
