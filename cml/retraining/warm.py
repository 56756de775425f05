"""Where a retraining starts: the current version's vectors, carried over to new data, settings and ids.

Known users and items keep their vectors. New users are folded in among their items as the service does it; a new
item lies where those who liked it look, as far out as items usually lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.config import RunConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.evaluation.held_out import rows_over
from cml.fold_in import FoldIn
from cml.training.rules import resolved
from cml.training.search_space import changed
from cml.training.space import Space, project_to_ball
from cml.vocabulary import UNKNOWN_ROW

PRIOR_LIKES = 5.0  # likes that the mean of all items counts as in the place of a new one
NOISE = 0.01  # of the radius, as the length of what fills new dimensions: at zero they would stay there


@dataclass(frozen=True)
class Carried:
    """The current version's vectors over the vocabularies of new data."""

    space: Space
    known_items: Tensor  # (n,) rows of items that the version knew; it placed all others nowhere
    known_users: Tensor


def carry_over(current: Content, data: Dataset, config: RunConfig) -> Carried:
    """The vectors of `current` for the users and items of `data`, with the rest placed among them.

    A change of dimension keeps distances as they are (upwards, but for a little noise) or as well as a rotation
    and a projection can (downwards); a change of radius scales.
    """
    config = as_soft(current, config)
    users, items = _resized(current, config)
    old_users, old_items = rows_over(current.users, data.users), rows_over(current.items, data.items)
    known_users, known_items = old_users != UNKNOWN_ROW, old_items != UNKNOWN_ROW
    space = Space(_picked(users, old_users), _picked(items, old_items), config.model.radius)
    if known_items.any():
        _place(space, data, config, known_users, known_items)
    return Carried(space, *(torch.from_numpy(np.flatnonzero(mask)) for mask in (known_items, known_users)))


def as_soft(current: Content, config: RunConfig) -> RunConfig:
    """The configuration with the version's temperature, in units of the ball, unless it names one."""
    known = current.config.get("train", {}).get("temperature")
    if config.train.temperature is not None or known is None:
        return config
    radius, old_radius = config.model.radius, current.config.get("model", {}).get("radius", 1.0)
    scale = (radius / old_radius) ** 2 if radius and old_radius else 1.0
    return changed(config, "train.temperature", known * scale)


def _picked(table: Tensor, rows: NDArray[np.int64]) -> Tensor:
    """The rows of a table, zeros where unknown."""
    picked = table[torch.from_numpy(np.maximum(rows, 0))].clone()
    picked[torch.from_numpy(rows == UNKNOWN_ROW)] = 0
    return picked


def _resized(current: Content, config: RunConfig) -> tuple[Tensor, Tensor]:
    """The version's tables in the dimension and the ball that the configuration asks for."""
    users, items = (
        torch.from_numpy(np.array(table, dtype=np.float32))
        for table in (current.user_vectors, current.item_vectors)
    )
    old, dim, radius = items.shape[1], config.model.dim, config.model.radius
    if old > dim:  # the directions in which the points differ from the centre most
        _, axes = torch.linalg.eigh((users.T @ users + items.T @ items).double())
        users, items = (table @ axes[:, -dim:].float() for table in (users, items))
    elif old < dim:
        generator = torch.Generator().manual_seed(int(config.rng("warm").integers(2**62)))
        scale = NOISE * (radius or 1.0) / (dim - old) ** 0.5
        users, items = (
            torch.cat([table, torch.randn(len(table), dim - old, generator=generator) * scale], 1)
            for table in (users, items)
        )
    old_radius = current.config.get("model", {}).get("radius", 1.0)
    if radius and old_radius and radius != old_radius:
        users, items = users * (radius / old_radius), items * (radius / old_radius)
    return project_to_ball(users, radius), project_to_ball(items, radius)


def _place(
    space: Space,
    data: Dataset,
    config: RunConfig,
    known_users: NDArray[np.bool_],
    known_items: NDArray[np.bool_],
) -> None:
    """Give vectors to what is new, in place: users by known items, items by those users, then the other users."""
    positives = data.positives()
    taught = space.users[torch.from_numpy(known_users)].numpy()
    _fold_in(space, positives, config, ~known_users, known_items, taught)
    placed = torch.linalg.vector_norm(space.users, dim=1).numpy() > 0
    new = np.flatnonzero(~known_items)
    prior = space.items[torch.from_numpy(known_items)].mean(0)
    lengths = torch.linalg.vector_norm(space.items[torch.from_numpy(known_items)], dim=1)
    space.items[torch.from_numpy(new)] = places_of_items(
        csr_array(positives.T.tocsr()[new]),
        space.users,
        torch.from_numpy(placed),
        prior,
        float(lengths.mean()),
    )
    _fold_in(space, positives, config, ~placed, np.ones(len(known_items), dtype=bool), taught)


def places_of_items(likers: csr_array, users: Tensor, placed: Tensor, prior: Tensor, length: float) -> Tensor:
    """Points (n, dim) for items liked by the rows of `likers` (n, n_users), weighted [RETRAIN-1].

    `c p + sum w u` over the users that are placed, scaled to `length`; p is the prior, c `PRIOR_LIKES`. At the mean
    of the users itself an item would lie inside the ball, near to everybody.
    """
    sums = np.asarray(likers @ (users * placed[:, None]).numpy(), dtype=np.float32)
    towards = torch.from_numpy(sums) + PRIOR_LIKES * prior
    return towards * (length / torch.linalg.vector_norm(towards, dim=1, keepdim=True).clamp(min=1e-12))


def _fold_in(
    space: Space,
    positives: csr_array,
    config: RunConfig,
    wanted: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    taught: NDArray[np.float32],
) -> None:
    """Place the wanted users among the usable items they like, in place; others stay where they are.

    taught: (n, dim) vectors of the users whom the version knows.
    """
    temperature = resolved(config, *positives.shape, positives.nnz).train.temperature
    assert temperature is not None
    rows = np.flatnonzero(wanted & (np.diff(positives.indptr) > 0))
    radius = config.model.radius or float(torch.linalg.vector_norm(space.items, dim=1).max())
    at = np.flatnonzero(usable)
    place_of = np.full(len(usable), UNKNOWN_ROW)
    place_of[at] = np.arange(len(at))
    fold_in = FoldIn(space.items.numpy()[at], temperature=temperature, radius=radius, users=taught)
    for row in rows:
        span = slice(positives.indptr[row], positives.indptr[row + 1])
        items = place_of[positives.indices[span]]
        if (items != UNKNOWN_ROW).any():
            liked = items != UNKNOWN_ROW
            space.users[row] = torch.from_numpy(fold_in.point(items[liked], positives.data[span][liked]))
