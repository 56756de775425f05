"""Peers that need no library: popularity, ItemKNN, EASE, and iALS with frequency-scaled regularisation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks.fitted import Fitted, Lists, by_inner_product
from benchmarks.splits import Parts
from cml.evaluation.baselines import item_item_lists, popularity_lists
from cml.evaluation.held_out import HeldOut
from cml.evaluation.ranking import top_unseen_by
from cml.training.als import factorise

MOST_USERS = 12_000  # EASE solves a system of this size


class Skipped(Exception):
    """The model cannot be fitted here; the message says why."""


def popularity(parts: Parts, _settings: Mapping[str, Any]) -> Iterator[Fitted]:
    liked = parts.positives
    yield Fitted(lambda held_out, k: popularity_lists(liked, held_out, k), 1, 0.0, 0.0)


def item_knn(parts: Parts, settings: Mapping[str, Any]) -> Iterator[Fitted]:
    """Cosine between items; settings: neighbours. It is lazy: its time falls into ranking."""
    liked = parts.positives
    yield Fitted(lambda held_out, k: item_item_lists(liked, held_out, k, **settings), 1, 0.0, 0.0)


def ease(parts: Parts, settings: Mapping[str, Any]) -> Iterator[Fitted]:
    """EASE (Steck 2019); settings: penalty. Raises Skipped on too many users."""
    if parts.train.n_users > MOST_USERS:
        raise Skipped(f"EASE: {parts.train.n_users:,} users; the system solved here allows {MOST_USERS:,}")
    started = time.perf_counter(), time.process_time()
    lists = ease_lists(parts.positives, settings["penalty"])
    yield Fitted(lists, 1, time.perf_counter() - started[0], time.process_time() - started[1])


def ease_lists(liked: csr_array, penalty: float) -> Lists:
    """The scores `X B` with `B = I - P / diag(P)`, `P = (X^T X + penalty I)^-1`, by a users x users system.

    With `M = (X X^T + penalty I)^-1`: `X P = M X`, and `diag(P)_j = (1 - x_j^T M x_j) / penalty`.
    """
    x = csr_array(liked, dtype=np.float64)
    system = (x @ x.T).toarray() + penalty * np.eye(x.shape[0])
    inverse = torch.linalg.inv(torch.from_numpy(system)).numpy().astype(np.float32)
    x32 = x.astype(np.float32)
    explained = np.zeros(x.shape[1])
    for start in range(0, x.shape[0], 512):
        block = slice(start, start + 512)
        explained += x32[block].multiply(inverse[block] @ x32).sum(axis=0)
    diagonal = ((1 - explained) / penalty).astype(np.float32)

    def lists(held_out: HeldOut, k: int) -> NDArray[np.int32]:
        rows = held_out.user_rows

        def scores(block: slice) -> NDArray[np.float32]:
            chosen = rows[block]
            return x32[chosen].toarray() - (inverse[chosen] @ x32) / diagonal

        return top_unseen_by(scores, held_out.seen, k)

    return lists


def frequency_scaled_als(parts: Parts, settings: Mapping[str, Any]) -> Iterator[Fitted]:
    """iALS with regularisation by frequency (Rendle et al. 2022).

    settings: dim, regularization, sweeps, and `catalogue`: the weight of all items together, seen from a user,
    in units of one observed pair.
    """
    started = time.perf_counter(), time.process_time()
    users, items = factorise(
        parts.positives,
        settings["dim"],
        unobserved=settings["catalogue"] / parts.train.n_items,
        regularization=settings["regularization"],
        sweeps=settings["sweeps"],
        generator=torch.Generator().manual_seed(0),
    )
    seconds, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    yield Fitted(by_inner_product(users.numpy(), items.numpy()), settings["sweeps"], seconds, cpu)
