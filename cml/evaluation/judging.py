"""From a published model and interaction files to a report: what `cml evaluate` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from scipy.sparse import csr_array

from cml.artifact import Artifact
from cml.config import DataConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.data.pairs import pair_matrix
from cml.data.reading import Reading, read_interactions
from cml.errors import ArtifactError
from cml.evaluation.baselines import BASELINES, Baseline
from cml.evaluation.held_out import HeldOut
from cml.evaluation.report import Report, report


def judge(
    model: Artifact,
    test: Reading,
    seen: Reading | None,
    ks: Sequence[int],
    rng: np.random.Generator,
    *,
    baselines: Mapping[str, Baseline] = BASELINES,
    threads: int | None = None,
) -> Report:
    """Judge a model on the liked pairs of `test`; its own pairs and those of `seen` stay out of the lists.

    Both are read with `read_for`. Raises DataError when nobody is left to rank for.
    """
    excluded = seen_pairs(model)
    if seen:
        excluded = csr_array(excluded + known_pairs(seen.dataset, model))
    held_out = HeldOut.of(test.dataset, model.users, model.items, excluded)
    liked = liked_pairs(model)
    return report(
        model.user_vectors, model.item_vectors, liked, held_out, ks, rng, baselines=baselines, threads=threads
    )


def read_for(model: Artifact, paths: Sequence[Path], *, strict: bool = False) -> Reading:
    """Read files as the model's own data was read, over its ids, which new ones follow."""
    return read_interactions(paths, data_config(model), strict=strict, users=model.users, items=model.items)


def data_config(model: Artifact) -> DataConfig:
    """How the model's data was read. Raises ArtifactError when its record makes no sense here."""
    try:
        return DataConfig.model_validate(model.config.get("data", {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtifactError(
            f"the model's setting data.{first['loc'][0]} = {first['input']!r}: {first['msg']}; "
            "evaluate it with the version of this software that trained it, or train again"
        ) from None


def seen_pairs(model: Content) -> csr_array:
    """Every pair that the model was given, (n_users, n_items)."""
    ones = np.ones(len(model.seen_items), dtype=np.float32)
    return csr_array((ones, model.seen_items, model.seen_indptr), shape=(len(model.users), len(model.items)))


def liked_pairs(model: Content) -> csr_array:
    """The pairs that the model was trained towards, (n_users, n_items)."""
    liked = np.asarray(model.seen_liked, dtype=bool)
    rows = np.repeat(np.arange(len(model.users)), np.diff(model.seen_indptr))
    return pair_matrix(rows[liked], model.seen_items[liked], (len(model.users), len(model.items)))


def known_pairs(dataset: Dataset, model: Artifact) -> csr_array:
    """The pairs of a data set read with `read_for` that the model has rows for, (n_users, n_items)."""
    known = (dataset.user_rows < len(model.users)) & (dataset.item_rows < len(model.items))
    shape = (len(model.users), len(model.items))
    return pair_matrix(dataset.user_rows[known], dataset.item_rows[known], shape)
