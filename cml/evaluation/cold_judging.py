"""From a model and files to a report on cold items: what `cml evaluate --cold-items` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cml.artifact import Artifact
from cml.catalogue import Catalogue
from cml.data.items import read_items
from cml.data.matrices import read_matrices
from cml.data.reading import Reading
from cml.errors import DataError
from cml.evaluation.cold_start import ColdReport, Nearest, judge_cold, place, tfidf_rows, unit_length
from cml.evaluation.held_out import HeldOut
from cml.evaluation.judging import liked_pairs, seen_pairs
from cml.features.encoding import SparseRows
from cml.features.matrix import with_matrices
from cml.features.placing import Placer
from cml.item_columns import TagColumn
from cml.training.features import as_matrix, as_rows, records
from cml.vocabulary import Vocabulary

TFIDF, COSINE = "tf-idf", "cosine"  # baselines: of the table's tags, of the model's own features


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
    table's tags. Beside the cosine of the tags stands that of the model's own features, where they say more. Raises
    DataError when the model knows all of them, when neither features nor tags can place them, or when there is
    nobody to rank for.
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
    vectors = np.asarray(model.item_vectors)
    if model.placer is not None:
        own = _own_rows(model.placer, model.config, catalogue, items)
        placement = model.placer.place_rows(as_rows(as_matrix(own)[known:]))
        strangers, has = placement.vectors, placement.known
        nearest, notes = _nearest(model.placer, own, catalogue, ~cold)
    else:
        rows = _tagged(catalogue, table, ~cold)
        nearest, notes = [Nearest(TFIDF, rows)], ()
        strangers = place(rows, np.arange(known), vectors)[known:]
        has = np.diff(rows.indptr)[known:] > 0
    return judge_cold(
        np.asarray(model.user_vectors),
        np.vstack([vectors, strangers]),
        nearest,
        _widened(liked_pairs(model), len(items)),
        HeldOut.of(cold_pairs, model.users, items, _widened(seen_pairs(model), len(items))),
        cold,
        ks,
        rng,
        without_features=int(np.count_nonzero(~has)),
        notes=notes,
    )


def _own_rows(
    placer: Placer, config: Mapping[str, Any], catalogue: Catalogue, items: Vocabulary
) -> SparseRows:
    """The items as the model's own encoder sees them, with the rows of the matrices that it was trained with."""
    named = config.get("features", {}).get("matrices", ())
    return placer.encoder.encode(with_matrices(records(catalogue), read_matrices(named, items)))


def _nearest(
    placer: Placer, own: SparseRows, catalogue: Catalogue, warm: NDArray[np.bool_]
) -> tuple[list[Nearest], tuple[str, ...]]:
    """What to compare a model that places items itself with, and what there is to say about it.

    The table's tags, and the model's own features where they say more than these.
    """
    tagged = {name for name, column in catalogue.columns.items() if isinstance(column, TagColumn)}
    rows = tfidf_rows(tag_matrix(catalogue), warm) if tagged else None
    found = [Nearest(TFIDF, rows)] if rows is not None and rows.nnz else []
    fitted = placer.encoder.fitted
    telling = [each.feature.column for each in fitted if each.feature.kind != "numeric"]
    if found and tagged.issuperset(telling):
        return found, ()
    missing = "no item that the model knows has a tag" if tagged else "the item table has no column of tags"
    if not telling:
        return found, (f"{TFIDF} is left out: {missing}, and the model's features are numbers alone",)
    counts = np.repeat([each.feature.kind != "numeric" for each in fitted], [each.width for each in fitted])
    found.append(Nearest(COSINE, unit_length(csr_array(as_matrix(own)[:, counts]))))
    stands = "" if len(found) > 1 else f", stands for {TFIDF}: {missing}"
    return found, (f"{COSINE}, of the model's own {', '.join(telling)}{stands}",)


def _tagged(catalogue: Catalogue, table: Path, warm: NDArray[np.bool_]) -> csr_array:
    rows = tfidf_rows(tag_matrix(catalogue), warm)
    if not rows.nnz:
        raise DataError(f"{table}: no item that the model knows has a tag; check the ids and --item-kind")
    return rows


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
