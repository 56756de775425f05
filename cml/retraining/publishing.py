"""What a retraining publishes: the vectors, what they were learned from, and the catalogue as it is known now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cml.catalogue import Catalogue
from cml.config import RunConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.data.items import read_items
from cml.data.users import read_users
from cml.described import features_of, user_features_of
from cml.evaluation.held_out import rows_over
from cml.events.meaning import ERASURES_KNOWN, EVENTS_KNOWN
from cml.events.values import ItemState
from cml.features.given import NO_ROWS, NOTHING_TOLD, Told
from cml.item_changes import changed_catalogue
from cml.pipeline import content
from cml.retraining.interactions import Gathered
from cml.retraining.order import Order
from cml.training.features import ReadCatalogue
from cml.training.space import Space
from cml.vocabulary import UNKNOWN_ROW, Vocabulary

FILE_PAIRS = "file_pairs"  # in a manifest's data: pairs that came from files


def content_of(
    data: Dataset,
    space: Space,
    config: RunConfig,
    metrics: dict[str, float],
    gathered: Gathered,
    catalogue: ReadCatalogue | None = None,
    told: Told = NOTHING_TOLD,
    users: ReadCatalogue | None = None,
) -> Content:
    """A version of these vectors, which tells how far in the event store it knows.

    Without a catalogue, one that is only judged: it shows nothing of items and places nobody and nothing.
    """
    features = features_of(data, config, catalogue, told=told) if catalogue else None
    user_features = user_features_of(data, config, users) if catalogue else None
    made = content(data, space, config, metrics, catalogue, features, user_features=user_features)
    known = {
        ERASURES_KNOWN: gathered.marks.erasures,
        EVENTS_KNOWN: gathered.marks.events,
        FILE_PAIRS: gathered.file_pairs,
    }
    return replace(made, data=made.data | known)


def catalogue_of(
    order: Order, current: Content | None, states: Sequence[ItemState], items: Vocabulary
) -> Catalogue:
    """The item table, else what the current version shows; then what was said about items over HTTP."""
    if order.items:
        known = read_items(order.items, items, kinds=order.item_kinds)
    else:
        known = carried_catalogue(current, items) if current is not None else Catalogue.empty(len(items))
    said = {
        row: state.metadata
        for state in states
        if state.metadata and (row := items.find(state.item_id)) != UNKNOWN_ROW
    }
    return changed_catalogue(known, said) if said else known


def carried_catalogue(current: Content, items: Vocabulary) -> Catalogue:
    """The metadata of a version for other items: nothing where it does not know one."""
    rows = rows_over(current.items, items)
    columns = current.catalogue.columns
    return Catalogue.from_columns(
        len(items),
        {
            name: [column.value(row) if row != UNKNOWN_ROW else None for row in rows]
            for name, column in columns.items()
        },
        {name: column.kind for name, column in columns.items()},
    )


def user_reader(order: Order) -> ReadCatalogue | None:
    """The user table for whichever users the version will have; None where there is none."""
    return partial(read_users, order.users, kinds=order.user_kinds) if order.users else None


def reader(order: Order, current: Content | None, states: Sequence[ItemState]) -> ReadCatalogue:
    """`catalogue_of` for whichever items the version will have."""
    return partial(catalogue_of, order, current, states)


def told(current: Content | None, states: Sequence[ItemState]) -> Told:
    """What tables and files do not say of items' features: rows that the version keeps, and what was said over HTTP."""
    said = {state.item_id: state.features for state in states if state.features}
    return Told(*((current.items, current.given) if current else (Vocabulary(()), NO_ROWS)), said)
