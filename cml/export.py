"""A version's vectors and recommendations as Parquet, for use elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cml.errors import ArtifactError
from cml.query import ListOptions
from cml.recommend import Recommendations, recommend_batch
from cml.snapshot import Snapshot
from cml.vocabulary import Vocabulary

_NONE = np.empty(0)
_BLOCK = 8192  # rows of vectors, or users, written at once


def export_vectors(snapshot: Snapshot, directory: Path) -> dict[str, int]:
    """Write `users.parquet` and `items.parquet`: id and vector (fixed-size list of float32), in row order.

    Returns the number of rows by file name. Existing files are replaced. Raises ArtifactError.
    """
    parts = snapshot.artifact
    written = {}
    for name, ids, vectors in (
        ("user", parts.users, parts.user_vectors),
        ("item", parts.items, parts.item_vectors),
    ):
        kept = _kept(ids, snapshot.erased if name == "user" else frozenset())
        path = directory / f"{name}s.parquet"
        _write(path, _vector_tables(f"{name}_id", ids, vectors, kept), _provenance(snapshot))
        written[path.name] = len(kept)
    return written


def export_recommendations(
    snapshot: Snapshot, user_ids: Sequence[str], path: Path, **options: Unpack[ListOptions]
) -> int:
    """Write each user's list: user_id, rank (from 1), item_id, distance (or score), strategy.

    Users are written in the order given; one that the version does not know gets the popular list.
    Returns the number of rows. An existing file is replaced. Raises ArtifactError, QueryError.
    """
    items = pa.array(list(snapshot.artifact.items), pa.string())
    answers = recommend_batch(snapshot, user_ids, **options)
    return _write(path, _list_tables(user_ids, answers, items), _provenance(snapshot))


def _kept(ids: Vocabulary, without: frozenset[int]) -> NDArray[np.int64]:
    rows = np.arange(len(ids))
    return rows[~np.isin(rows, list(without))]


def _vector_tables(
    id_name: str, ids: Vocabulary, vectors: NDArray[np.float32], rows: NDArray[np.int64]
) -> Iterator[pa.Table]:
    for begin in range(0, max(len(rows), 1), _BLOCK):
        block = rows[begin : begin + _BLOCK]
        flat = pa.array(vectors[block].reshape(-1), pa.float32())
        columns = {
            id_name: pa.array([ids[row] for row in block], pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
        yield pa.table(columns)


def _list_tables(
    user_ids: Sequence[str], answers: Iterator[Recommendations], items: pa.Array
) -> Iterator[pa.Table]:
    users = iter(user_ids)
    while True:
        block = list(islice(answers, _BLOCK))
        lengths = [len(answer.rows) for answer in block]
        rows = np.concatenate([_NONE, *(answer.rows for answer in block)]).astype(np.int32)
        ranks = np.concatenate([_NONE, *(np.arange(1, length + 1) for length in lengths)])
        values = np.concatenate([_NONE, *(answer.values for answer in block)])
        near = np.repeat([answer.by_distance for answer in block], lengths).astype(bool)
        named = np.repeat(np.array(list(islice(users, len(block))), dtype=object), lengths)
        strategies = np.repeat(np.array([answer.strategy for answer in block], dtype=object), lengths)
        yield pa.table(
            {
                "user_id": pa.array(named, pa.string()),
                "rank": pa.array(ranks, pa.int32()),
                "item_id": items.take(pa.array(rows)),
                "distance": pa.array(values, pa.float32(), mask=~near),
                "score": pa.array(values, pa.float64(), mask=near),
                "strategy": pa.array(strategies, pa.string()),
            }
        )
        if len(block) < _BLOCK:
            return


def _provenance(snapshot: Snapshot) -> dict[str, str]:
    return {"model_version": snapshot.version, "created_at": snapshot.artifact.manifest.created_at}


def _write(path: Path, tables: Iterator[pa.Table], metadata: dict[str, str]) -> int:
    """Write tables one after the other to a file that appears only when it is complete; returns its rows."""
    if path.exists() and not path.is_file():
        raise ArtifactError(f"{path}: is no regular file, which the export would replace; name another file")
    staged = path.with_name(f".{path.name}.part")
    n_rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first = next(tables)
        with pq.ParquetWriter(staged, first.schema.with_metadata(metadata), compression="zstd") as writer:
            for table in chain([first], tables):
                writer.write_table(table.replace_schema_metadata(metadata))
                n_rows += table.num_rows
        staged.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # what keeps it from being written keeps it from being there
            staged.unlink(missing_ok=True)
    return n_rows
