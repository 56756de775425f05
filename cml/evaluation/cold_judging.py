"""From a model and files to a report on cold items: what `cml evaluate --cold-items` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from cml.artifact import Artifact
from cml.catalogue import Catalogue
from cml.data.items import read_items
from cml.data.matrices import read_matrices
from cml.data.reading import Reading
from cml.errors import DataError
from cml.evaluation.cold_start import ColdReport, judge_cold, place, tfidf_rows
from cml.evaluation.held_out import HeldOut
from cml.evaluation.judging import liked_pairs, seen_pairs
from cml.features.matrix import with_matrices
from cml.item_columns import TagColumn


def judge_cold_items(
    model: Artifact,
    test: Reading,
    table: Path,
    ks: Sequence[int],
    rng: np.random.Generator,
    *,
    kinds: Mapping[str, str] | None = None,
    strict: bool = False,
) -> ColdReport:
    """Judge where an item table places the items of `test` (read with `read_for`) that the model lacks.

    A model that was trained with features places them itself; for any other, its places are regressed on the
    table's tags. Raises DataError when the model knows all of them, when the table has no column of tags, or when
    there is nobody to rank for.
    """
    items, known = test.dataset.items, len(model.items)
    cold = np.arange(len(items)) >= known
    cold_pairs = test.dataset.take(cold[test.dataset.item_rows])
    if not len(cold_pairs):
        raise DataError(
            "the model knows every item of the test files, so none is cold; hold whole items out before training "
            "with: cml data split FILE --cold-items 0.2 --out DIR"
        )
    catalogue = read_items(table, items, kinds=kinds, strict=strict)
    rows = tfidf_rows(tag_matrix(catalogue), ~cold)
    if not rows.nnz:
        raise DataError(f"{table}: no item that the model knows has a tag; check the ids and --item-kind")
    vectors = np.asarray(model.item_vectors)
    if model.placer is not None:
        named = model.config.get("features", {}).get("matrices", ())
        records = with_matrices(
            [catalogue.record(row) for row in range(len(items))], read_matrices(named, items)
        )
        strangers = model.placer.place(records[known:]).vectors
    else:
        strangers = place(rows, np.arange(known), vectors)[known:]
    places = np.vstack([vectors, strangers])
    held_out = HeldOut.of(cold_pairs, model.users, items, _widened(seen_pairs(model), len(items)))
    liked = _widened(liked_pairs(model), len(items))
    return judge_cold(np.asarray(model.user_vectors), places, rows, liked, held_out, cold, ks, rng)


def tag_matrix(catalogue: Catalogue) -> csr_array:
    """Which item has which tag, over all columns of tags: (n_items, n_tags). Raises DataError without any."""
    parts = [column for column in catalogue.columns.values() if isinstance(column, TagColumn)]
    if not parts:
        raise DataError(
            f"the item table has no column of tags, only {', '.join(catalogue.columns) or 'ids'}; "
            "read one as tags with --item-kind COLUMN=tags"
        )
    rows, columns, width = [], [], 0
    for column in parts:
        arrays = column.arrays()
        rows.append(np.repeat(np.arange(catalogue.n_items), np.diff(arrays["indptr"])))
        columns.append(np.asarray(arrays["tags"], dtype=np.int64) + width)
        width += len(arrays["tag_indptr"]) - 1
    where = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.ones(len(where[0])), where), shape=(catalogue.n_items, width))


def _widened(pairs: csr_array, n_items: int) -> csr_array:
    """The same pairs over a longer catalogue."""
    return csr_array((pairs.data, pairs.indices, pairs.indptr), shape=(pairs.shape[0], n_items))
