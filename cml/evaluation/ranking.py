"""Rank every item for many users, without ever holding a users x items matrix.

Scores are made in tiles (some users x some items). Within a tile the items stand in groups, and a group
whose best member cannot be among the k best is never looked into. Ties go to the lower item row at every
stage, so a list does not depend on tiling or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.threads import side_by_side

TILE_BYTES = 64 * 2**20  # of scores, all threads together
TILE_USERS = 256  # enough for the matrix product to run at full speed
TILE_ITEMS = 32_768
MAX_GROUP = 64
GROUPS_PER_ITEM = 12  # of the list
NO_ITEM = -1
NOTHING = (-0x7F800001 << 32) + 0x7FFFFFFF  # the key of a score of -inf, worse than any item's

ScoreBlock = Callable[[slice], NDArray[np.float32]]
RankBlock = Callable[[slice], Tensor]


def top_unseen(
    users: NDArray | Tensor, items: NDArray | Tensor, seen: csr_array, k: int, *, threads: int | None = None
) -> NDArray[np.int32]:
    """Rows of the k unseen items nearest to each user by Euclidean distance, nearest first: (n, k) int32.

    users: (n, dim), items: (m, dim) float32, on one device, finite. seen: (n, m), any stored pair is left
    out. Users with fewer than k unseen items pad with -1. Of items at equal computed distance the lower row
    comes first. Memory beyond the result: a copy of the items and about twice `TILE_BYTES`.
    """
    users = _points(users)
    _check(len(users), len(items), seen, k)
    workers = _workers(users, threads)
    width = min(TILE_ITEMS, len(items)) + MAX_GROUP  # room to fill up the last group
    size = _block_users(len(users), width, workers)
    starts = range(0, len(items), TILE_ITEMS)
    chunks = [_chunk(_points(items[start : start + TILE_ITEMS]), start, k) for start in starts]

    def ranker() -> RankBlock:
        tile = torch.empty(size * width, device=users.device)  # made once a thread: fresh pages are slow
        return lambda block: _rank_block(users[block], chunks, seen[block], k, tile)

    return _in_blocks(ranker, len(users), k, size, workers)


def top_unseen_by(
    score_block: ScoreBlock, seen: csr_array, k: int, *, threads: int | None = None
) -> NDArray[np.int32]:
    """Like `top_unseen` for any score, larger is better.

    `score_block(slice of users)` gives (users in the slice, m) float32 without NaN; the block may be
    overwritten. A score of -inf keeps an item out, like a seen one.
    """
    n, m = seen.shape
    _check(n, m, seen, k)
    group = _group_size(m, k)

    def rank(block: slice) -> Tensor:
        scores = torch.from_numpy(np.ascontiguousarray(score_block(block), dtype=np.float32))
        _mask(scores, seen[block], 0, m, lambda columns: columns)
        scores = torch.nn.functional.pad(scores, (0, -m % group), value=-torch.inf)
        nothing = torch.full((len(scores), k), NOTHING)
        return _improve(nothing, scores.view(len(scores), -1, group).transpose(1, 2), 0)

    workers = threads or torch.get_num_threads()
    return _in_blocks(lambda: rank, n, k, _block_users(n, m, workers), workers)


def _points(values: NDArray | Tensor) -> Tensor:
    if isinstance(values, np.ndarray) and not values.flags.writeable:
        values = values.copy()  # torch warns about arrays that it might write to
    points = torch.as_tensor(values, dtype=torch.float32).detach()
    if not torch.isfinite(points).all():
        raise ValueError("vectors to rank hold NaN or infinity; the model that made them has diverged")
    return points


def _check(n: int, m: int, seen: csr_array, k: int) -> None:
    if seen.shape != (n, m):
        raise ValueError(f"seen is {seen.shape[0]} x {seen.shape[1]} for {n} users and {m} items")
    if k < 1:
        raise ValueError(f"k is {k}; a list has at least one item")


def _workers(users: Tensor, threads: int | None) -> int:
    return 1 if users.device.type != "cpu" else threads or torch.get_num_threads()


def _block_users(n: int, width: int, workers: int) -> int:
    fitting = TILE_BYTES // (4 * max(width, 1) * workers)
    return max(1, min(TILE_USERS, fitting, -(-n // workers)))


def _in_blocks(ranker: Callable[[], RankBlock], n: int, k: int, size: int, workers: int) -> NDArray[np.int32]:
    """Rank blocks of `size` users; `ranker` is made once a thread."""
    result = np.full((n, k), NO_ITEM, dtype=np.int32)

    def worker() -> Callable[[int], None]:
        rank = ranker()

        def work(start: int) -> None:
            keys = rank(slice(start, min(start + size, n)))
            result[start : start + len(keys), : keys.shape[1]] = _rows(keys).cpu().numpy()

        return work

    side_by_side(range(0, n, size), worker, workers)
    return result


@dataclass(frozen=True)
class _Chunk:
    """Some items laid out for ranking; the last group is filled up with points that are infinitely far."""

    start: int
    group: int
    n_groups: int
    points: (
        Tensor  # (group * n_groups, dim + 1): each item and -|v|^2/2; by place in the group, then by group
    )

    def column(self, row: NDArray[np.int64]) -> NDArray[np.int64]:
        place = row - self.start
        return place % self.group * self.n_groups + place // self.group


def _chunk(items: Tensor, start: int, k: int) -> _Chunk:
    # In this order the maximum over a group is a maximum over long runs, which costs next to nothing.
    offsets = items.square().sum(1, keepdim=True).mul_(-0.5)
    group = _group_size(len(items), k)
    missing = -len(items) % group
    items = torch.nn.functional.pad(items, (0, 0, 0, missing))
    offsets = torch.nn.functional.pad(offsets, (0, 0, 0, missing), value=-torch.inf)
    points = torch.cat([items, offsets], dim=1).view(-1, group, items.shape[1] + 1)
    return _Chunk(start, group, len(points), points.transpose(0, 1).reshape(-1, points.shape[2]))


def _group_size(n_items: int, k: int) -> int:
    """A size that leaves enough groups for their k-th largest maximum to be near the k-th best score."""
    return min(MAX_GROUP, max(1, n_items // (GROUPS_PER_ITEM * k)))


def _rank_block(users: Tensor, chunks: list[_Chunk], seen: csr_array, k: int, buffer: Tensor) -> Tensor:
    """Keys of the k best items of a block of users, best first, the catalogue taken a chunk at a time."""
    best = torch.full((len(users), k), NOTHING, device=users.device)
    # d^2 = |u|^2 - 2 (u.v - |v|^2/2): the largest bracket is the nearest item.
    users = torch.nn.functional.pad(users, (0, 1), value=1.0)
    for chunk in chunks:
        tile = buffer[: len(users) * len(chunk.points)].view(len(users), -1)
        torch.mm(users, chunk.points.T, out=tile)
        _mask(tile, seen, chunk.start, chunk.start + TILE_ITEMS, chunk.column)
        best = _improve(best, tile.view(len(users), chunk.group, chunk.n_groups), chunk.start)
    return best


def _mask(
    tile: Tensor, seen: csr_array, start: int, stop: int, column_of: Callable[[NDArray], NDArray]
) -> None:
    """Put -inf where a user has seen an item of rows start..stop; `column_of` finds a row's column."""
    rows = np.repeat(np.arange(seen.shape[0], dtype=np.int64), np.diff(seen.indptr))
    columns = seen.indices
    if stop - start < seen.shape[1]:
        inside = (columns >= start) & (columns < stop)
        rows, columns = rows[inside], columns[inside]
    flat = rows * tile.shape[1] + column_of(columns.astype(np.int64))
    tile.view(-1)[torch.from_numpy(flat).to(tile.device)] = -torch.inf


def _improve(best: Tensor, tile: Tensor, first_row: int) -> Tensor:
    """The k best keys of each user (users, k), best first, after a look at a tile (users, places, groups).

    Item `first_row + group * places + place` stands at [:, place, group].
    """
    n_users, k = best.shape
    places = tile.shape[1]
    maxima = tile.amax(1)
    floor = _floor(best, maxima)[:, None]
    user, group = (maxima >= floor).nonzero(as_tuple=True)
    members = tile[user, :, group]
    pair, place = (members >= floor[user]).nonzero(as_tuple=True)
    if len(pair) == 0:
        return best
    keys = _keys(members[pair, place], first_row + group[pair] * places + place)
    return torch.cat([best, _padded(user[pair], keys, n_users)], dim=1).topk(k, dim=1).values


def _floor(best: Tensor, maxima: Tensor) -> Tensor:
    """For each user a finite score that nothing below can be among the k best: (users,).

    The k-th best so far, and where there are not k yet, the k-th largest maximum: k groups reach it.
    """
    k = best.shape[1]
    floor = _scores(best[:, -1])
    if maxima.shape[1] >= k and floor.min() == -torch.inf:
        floor = torch.maximum(floor, maxima.topk(k, dim=1, sorted=False).values.amin(1))
    return floor.clamp(min=torch.finfo(torch.float32).min)


def _padded(users: Tensor, keys: Tensor, n_users: int) -> Tensor:
    """Keys as one line a user, `NOTHING` behind them; `users` is ascending."""
    counts = torch.bincount(users, minlength=n_users)
    at = torch.arange(len(users), device=users.device) - (counts.cumsum(0) - counts)[users]
    lines = torch.full((n_users, int(counts.max())), NOTHING, device=keys.device)
    lines[users, at] = keys
    return lines


def _keys(scores: Tensor, rows: Tensor) -> Tensor:
    """One int64 a score, ordered by score, then by lower row: no two are equal, so any top k is unique."""
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes one zero of -0 and 0
    return (_reorder(bits).to(torch.int64) << 32) + (0x7FFFFFFF - rows)


def _scores(keys: Tensor) -> Tensor:
    return _reorder((keys >> 32).to(torch.int32)).view(torch.float32)


def _rows(keys: Tensor) -> Tensor:
    """Rows behind keys, `NO_ITEM` where there is none."""
    return torch.where(keys == NOTHING, NO_ITEM, 0x7FFFFFFF - (keys & 0xFFFFFFFF))


def _reorder(bits: Tensor) -> Tensor:
    """Float bits to integers in the same order, and back: negative floats count downwards."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
