"""What a retraining learns from: interaction files and the event store, put together as one data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cml.config import DataConfig
from cml.data.dataset import Dataset
from cml.data.merging import frequent
from cml.data.reading import read_interactions
from cml.data.rejects import Reject
from cml.errors import DataError
from cml.events.meaning import LastWords
from cml.events.store import EventStore
from cml.events.values import Event, ItemState, Marks
from cml.vocabulary import Vocabulary

PAGE = 50_000  # events read at once
MOST_LIKES = 10.0  # that all events of one pair count as together: nobody's clicking outweighs a crowd


@dataclass(frozen=True)
class Gathered:
    """The data of a retraining, and how far the event store had come when they were read."""

    data: Dataset
    marks: Marks
    events: int
    file_pairs: int  # pairs that stand in the files, erased users left out
    erased_users: int  # of the files, left out
    items: tuple[ItemState, ...]  # what was said about items over HTTP
    rejected: tuple[Reject, ...] = ()


def gather(
    files: Sequence[Path],
    store: EventStore | None,
    config: DataConfig,
    now: float,
    *,
    least: float = 0,
    strict: bool = False,
) -> Gathered:
    """Everything known by now, one row a pair; erased users' rows of the files are left out altogether.

    A pair that stands in both follows the later of the two, the event store at equal times; where they agree, the
    larger weight counts, since files are often exported with the same events in them. Times in the future count
    as `now`. Raises DataError when nothing is liked or the files hold fewer than `least` pairs, EventStoreError when
    the store cannot be read.
    """
    reading = read_interactions(files, _every_pair(config), strict=strict) if files else None
    base, rejects = (reading.dataset, reading.report.rejects.first) if reading else (_nothing(), [])
    if files and len(base) < least:
        raise DataError(
            f"the files hold {len(base):,} pairs, fewer than half of the {2 * least:,.0f} that the current version "
            "learned from files: give all of them with --train, or say --force if the others shall be forgotten"
        )
    changes = store.changes(Marks(), with_users=False) if store else None
    marks = changes.marks if changes else Marks()
    erased = _erased_rows(base.users, [digest for digest, _ in changes.erased] if changes else [])
    base = base.take(~np.isin(base.user_rows, erased)) if len(erased) else base
    events, n_events = (_from_events(store, marks.events, now)) if store else (_nothing(), 0)
    joined = _one_word_a_pair(*_over_both(replace(base, timestamps=np.minimum(base.timestamps, now)), events))
    return Gathered(
        data=_frequent(joined, config),
        marks=marks,
        events=n_events,
        file_pairs=len(base),
        erased_users=len(erased),
        items=changes.items if changes else (),
        rejected=tuple(rejects),
    )


@contextmanager
def opened(url: str | None) -> Iterator[EventStore | None]:
    """The event store at a URL for the block; None without a URL."""
    store = EventStore(url) if url else None
    try:
        yield store
    finally:
        if store:
            store.close()


def _every_pair(config: DataConfig) -> DataConfig:
    """Minimum numbers of interactions apply to everything together, not to the files alone."""
    return config.model_copy(update={"min_user_interactions": 1, "min_item_interactions": 1})


def _nothing() -> Dataset:
    return Dataset.from_rows(Vocabulary(()), Vocabulary(()), np.empty(0, int), np.empty(0, int))


def _erased_rows(users: Vocabulary, digests: Sequence[str]) -> NDArray[np.int64]:
    ids = [user_id for digest in digests for user_id in users.with_hash(int(digest, 16))]
    return np.unique(users.rows(ids)) if ids else np.empty(0, dtype=np.int64)


def _pages(store: EventStore, until: int) -> Iterator[Event]:
    after = 0
    while page := [event for event in store.events_after(after, PAGE) if event.sequence <= until]:
        yield from page
        after = page[-1].sequence


def _from_events(store: EventStore, until: int, now: float) -> tuple[Dataset, int]:
    """The store's events up to number `until`, as pairs with their last word, and how many they were."""
    words: LastWords[tuple[str, str]] = LastWords()
    n = 0
    for event in _pages(store, until):
        words.add((event.user_id, event.item_id), event)
        n += 1
    said = [(pair, events, True) for pair, events in words.liked.items()]
    said += [(pair, events, False) for pair, events in words.disliked.items()]
    said.sort(key=lambda one: one[1][0].sequence)
    users, items = (Vocabulary(dict.fromkeys(pair[at] for pair, _, _ in said)) for at in (0, 1))
    liked = np.array([is_liked for _, _, is_liked in said], dtype=bool)
    return Dataset(
        users,
        items,
        users.rows(pair[0] for pair, _, _ in said).astype(np.int32),
        items.rows(pair[1] for pair, _, _ in said).astype(np.int32),
        liked,
        ~liked,
        np.array([min(sum(e.weight for e in events), MOST_LIKES) for _, events, _ in said], np.float32),
        np.array([min(max(e.occurred_at for e in events), now) for _, events, _ in said], np.float64),
    ), n


def _over_both(base: Dataset, events: Dataset) -> tuple[Dataset, Dataset]:
    """Both over the same vocabularies: the files' ids, then those that only events name."""
    users, items = (
        Vocabulary([*old, *(value for value in new if value not in old)])
        for old, new in ((base.users, events.users), (base.items, events.items))
    )
    return base.over(users, items), events.over(users, items)


def _one_word_a_pair(base: Dataset, events: Dataset) -> Dataset:
    """The union; a pair of both follows the later word, with the larger weight where the two agree."""
    both, in_base, in_events = np.intersect1d(_keys(base), _keys(events), return_indices=True)
    if len(both):
        base_time = np.nan_to_num(base.timestamps[in_base], nan=-np.inf)
        base_is_later = base_time > events.timestamps[in_events]
        agree = base.liked[in_base] == events.liked[in_events]
        weights, times = events.weights.copy(), events.timestamps.copy()
        larger = np.maximum(base.weights[in_base], weights[in_events])
        weights[in_events] = np.where(agree, larger, weights[in_events])
        times[in_events] = np.where(agree, np.maximum(base_time, times[in_events]), times[in_events])
        events = replace(events, weights=weights, timestamps=times)
        from_files = in_events[base_is_later & ~agree]
        events = events.take(~np.isin(np.arange(len(events)), from_files))
    return events.joined(base)


def _keys(data: Dataset) -> NDArray[np.int64]:
    return data.user_rows.astype(np.int64) * max(data.n_items, 1) + data.item_rows


def _frequent(data: Dataset, config: DataConfig) -> Dataset:
    """Without rare users and items, over vocabularies of those that remain."""
    liked = data.take(data.liked)
    if not len(liked):
        raise DataError(
            f"nothing to learn from: none of the {len(data):,} pairs of files and events is liked; "
            "give files with --train, or check data.like_threshold"
        )
    users, items = frequent(
        liked.user_rows,
        liked.item_rows,
        min_user=config.min_user_interactions,
        min_item=config.min_item_interactions,
    )
    keep = _at(users, data.user_rows) & _at(items, data.item_rows)
    if not data.take(keep).liked.any():
        raise DataError(
            f"no users remain who like {config.min_user_interactions} items each, each liked by "
            f"{config.min_item_interactions} users; lower data.min_user_interactions or data.min_item_interactions"
        )
    return data.take(keep).compact()


def _at(mask: NDArray[np.bool_], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """`mask[rows]`, False beyond the mask's end."""
    inside = rows < len(mask)
    return inside & mask[np.where(inside, rows, 0)]
