"""What one list is cut from: version, events that count, masks, and the part that a cursor names."""

from __future__ import annotations

import math
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
    counts_as: tuple[str, str, str] | None  # what the list is counted as in an experiment
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
        return str(self.cursor._replace(offset=end))


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
        for column, condition in (options.where or {}).items():
            for values in condition.values() if isinstance(condition, dict) else (condition,):
                if isinstance(values, list):
                    self.require_short(f"where.{column[:40]}", values, "values")
        begun = None if options.cursor is None else cursors.parse(options.cursor, listing)
        turn = self.assignment.of(user_id, begun and begun.version)
        snapshot = turn.snapshot
        if begun is None:
            cursor = Cursor(snapshot.version, 0, self._live.newest_event, self._live.newest_item, 0, listing)
        else:
            k = self._rest(k, begun.offset)
            cursor, snapshot = begun, self._held(begun.version)
        shown = self.masks.apply(snapshot)
        if _asks_for_now(shown, options.available_at):
            cursor = cursor if cursor.moment else cursor._replace(moment=int(self._clock() * 1000))
            moment: float | str | None = cursor.moment / 1000
        else:
            moment = _moment(options.available_at)
        asked = _asked(options, k, cursor.offset, moment)
        if cursor.added != self._live.newest_item and shown.stock.added is not None:
            asked["exclude"] = [*options.exclude, *_later(shown.stock.added, cursor.added)]
        return Page(shown, turn.variant, turn.mark, turn.counts_as, cursor, k, asked)

    def length(self, k: int | None, *, paged: bool = True) -> int:
        """The length of a list that asks for `k` (None: the default). Raises Problem 422."""
        if k is None:
            return min(self._settings.default_k, self._settings.max_k)
        if k > self._settings.max_k:
            more = "; use the cursor for more" if paged else ""
            raise invalid(f"k = {k}: at most {self._settings.max_k}{more}")
        return k

    def require_short(self, name: str, listed: Sequence[object], of: str = "ids") -> None:
        """Raises Problem 422 for a list beyond the limit."""
        if len(listed) > self._settings.max_list:
            raise invalid(f"{name}: {len(listed)} {of}, at most {self._settings.max_list}")

    def _held(self, version: str) -> Snapshot:
        snapshot = self._store.get(version)
        if snapshot is None:
            raise cursors.expired(version)
        return snapshot

    def _rest(self, k: int, offset: int) -> int:
        """The length of a page that begins at `offset`: the last one is as long as the depth allows."""
        left = self._settings.max_depth - offset
        if left < 1:
            raise invalid(f"cursor: a listing can be read up to item {self._settings.max_depth}")
        return min(k, left)


def _asked(options: ListOptions, k: int, offset: int, moment: float | str | None) -> dict[str, Any]:
    asked: dict[str, Any] = {"k": k, "offset": offset}
    for name in options.model_fields_set & _PASSED_ON:
        asked[name] = getattr(options, name)
    if options.explain:
        asked["because"] = options.explain
    if moment is not None:
        asked["available_at"] = moment
    return asked


def _asks_for_now(snapshot: Snapshot, available_at: str | None) -> bool:
    """Whether items have to be available now: by default where the catalogue says when they are."""
    if available_at is not None:
        return available_at == "now"
    columns = snapshot.stock.columns
    return AVAILABLE_FROM in columns or AVAILABLE_UNTIL in columns


def _moment(asked: str | None) -> float | str | None:
    """Seconds as a number; any other text as it is, which the recommender reads or refuses."""
    try:
        seconds = math.nan if asked is None else float(asked)
    except ValueError:
        return asked
    return seconds if math.isfinite(seconds) else asked


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
