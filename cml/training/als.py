"""Implicit alternating least squares with frequency-scaled regularisation: a closed-form place to start from.

Minimises, over the observed pairs S and all pairs, `sum_S (1 - u_i.v_j)^2 + a sum_all (u_i.v_j)^2` plus
`reg * (n + a * N)` times each row's squared norm, with n the row's observed pairs and N the rows of the other
side (Hu, Koren and Volinsky 2008; the scaling of Rendle et al. 2022). Each sweep solves both sides exactly.

A row with few pairs is solved in as many unknowns as it has pairs: with `F` its pairs' vectors and
`D = a V^T V + reg I`, made diagonal by one rotation for the whole side, `(F^T F + D)^-1 F^T 1` equals
`D^-1 F^T (I + F D^-1 F^T)^-1 1`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.threads import side_by_side

BLOCK_ELEMENTS = 1 << 19  # of gathered vectors that a thread holds at once
PIECES = 16  # at least, of a side, so that no thread waits long for another
SKETCH_ROUNDS = 2  # more find the leading directions more sharply and lose the others


def factorise(
    positives: csr_array,
    dim: int,
    *,
    unobserved: float,
    regularization: float,
    sweeps: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """User vectors (n_users, dim) and item vectors (n_items, dim) whose inner products rank like the data.

    unobserved: the weight `a` of a pair that was not observed. Rows without any pair come out as zeros.
    """
    by_user, by_item = csr_array(positives), csr_array(positives.T.tocsr())
    items = _sketch(by_user, dim, generator)
    users = torch.zeros(positives.shape[0], dim)
    for _ in range(sweeps):
        users = _solve(by_user, items, unobserved, regularization)
        items = _solve(by_item, users, unobserved, regularization)
    return users, items


def _sketch(by_user: csr_array, dim: int, generator: torch.Generator) -> Tensor:
    """Item vectors to begin with, (n_items, dim): noise passed through the pairs and back, so that items with users
    in common point the same way. It saves the sweeps that would make this of plain noise."""
    by_users, by_items = np.diff(by_user.indptr), np.bincount(by_user.indices, minlength=by_user.shape[1])
    scales = 1 / np.sqrt(np.repeat(by_users, by_users) * by_items[by_user.indices])
    scaled = csr_array((scales.astype(np.float32), by_user.indices, by_user.indptr), shape=by_user.shape)
    points = torch.randn(by_user.shape[1], dim, generator=generator).numpy()
    for _ in range(SKETCH_ROUNDS):
        points = scaled.T @ (scaled @ points)
    vectors = torch.from_numpy(points)
    return vectors * (0.1 / torch.linalg.vector_norm(vectors, dim=1).mean().clamp(min=1e-12))


def _solve(pairs: csr_array, other: Tensor, unobserved: float, regularization: float) -> Tensor:
    """The best vectors of one side, (rows, dim), given the other's."""
    dim = other.shape[1]
    spread, rotation = torch.linalg.eigh(unobserved * (other.T @ other))
    rotated = torch.nn.functional.pad(other @ rotation, (0, 0, 0, 1))  # the last row fills up short ones
    counts = np.diff(pairs.indptr)
    ridge = torch.from_numpy(regularization * (counts + unobserved * len(other))).float()
    solved = torch.zeros(pairs.shape[0], dim)

    def solve(rows: NDArray[np.integer]) -> None:
        at = torch.from_numpy(rows)
        vectors = rotated[torch.from_numpy(_columns(pairs, counts, rows, padding=len(other)))]
        diagonal = spread.clamp(min=0)[None, :] + ridge[at][:, None]
        solved[at] = (_in_pairs if vectors.shape[1] <= dim else _in_dimensions)(vectors, diagonal)

    side_by_side(_blocks(counts, dim), lambda: solve)
    return solved @ rotation.T


def _in_pairs(vectors: Tensor, diagonal: Tensor) -> Tensor:
    """Rows (n, dim) from their pairs' vectors (n, longest, dim), which are overwritten, and diagonals (n, dim)."""
    roots = diagonal.rsqrt()[:, None, :]
    scaled = vectors.mul_(roots)
    system = torch.baddbmm(torch.eye(vectors.shape[1]), scaled, scaled.transpose(1, 2))
    ones = torch.ones(*vectors.shape[:2], 1)  # of padding too: its vectors are zeros, so its weights are idle
    weights = torch.cholesky_solve(ones, torch.linalg.cholesky(system))
    return (weights.transpose(1, 2) @ scaled).mul_(roots).squeeze(1)


def _in_dimensions(vectors: Tensor, diagonal: Tensor) -> Tensor:
    """The same where there are more pairs than dimensions."""
    system = torch.baddbmm(torch.diag_embed(diagonal), vectors.transpose(1, 2), vectors)
    return torch.cholesky_solve(vectors.sum(1)[:, :, None], torch.linalg.cholesky(system)).squeeze(2)


def _blocks(counts: NDArray[np.integer], dim: int) -> Iterator[NDArray[np.integer]]:
    """Rows that have pairs, those with similarly many together."""
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    most = min(BLOCK_ELEMENTS, counts.sum() * dim // PIECES)
    while len(order):
        longest = counts[
            order[: most // dim + 1]
        ]  # of a block that ends there, to which others are filled up
        sizes = np.arange(1, len(longest) + 1) * longest * dim
        stop = max(1, int(np.searchsorted(sizes, most, side="right")))
        yield order[:stop]
        order = order[stop:]


def _columns(
    pairs: csr_array, counts: NDArray[np.integer], rows: NDArray[np.integer], padding: int
) -> NDArray[np.int64]:
    """The pairs' columns of each row, (n, longest), short rows filled up with `padding`."""
    within = np.arange(counts[rows].max())
    present = within[None, :] < counts[rows][:, None]
    columns = np.full(present.shape, padding, dtype=np.int64)
    columns[present] = pairs.indices[(pairs.indptr[rows][:, None] + within[None, :])[present]]
    return columns


def lift(users: Tensor, items: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Points in a ball, one dimension more, whose distances rank items exactly as the inner products do.

    With M the longest item, items become `(v, sqrt(M^2 - |v|^2)) r / M`, all on the surface, and users
    `(u, 0) r / |u|`: then `d^2 = 2 r^2 (1 - u.v / (|u| M))`. A zero user stays at the centre.
    """
    longest = torch.linalg.vector_norm(items, dim=1).max().clamp(min=1e-12)
    height = (longest**2 - items.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
    lifted_items = torch.cat([items, height], 1) * (radius / longest)
    lengths = torch.linalg.vector_norm(users, dim=1, keepdim=True).clamp(min=1e-12)
    lifted_users = torch.nn.functional.pad(users * (radius / lengths), (0, 1))
    return lifted_users, lifted_items
