"""What training hands over for publication: vectors, ids, seen pairs, counts and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cml.catalogue import Catalogue
from cml.errors import ArtifactError
from cml.features.given import NO_ROWS, GivenRows
from cml.features.placing import Placer
from cml.vocabulary import Vocabulary

_DTYPES: dict[str, type[np.generic]] = {
    "user_vectors": np.float32,
    "item_vectors": np.float32,
    "seen_indptr": np.int64,
    "seen_items": np.int32,
    "seen_liked": np.bool_,
    "popularity": np.float64,
}
TRENDING_HALF_LIFE = 14 * 86400.0  # seconds


@dataclass(frozen=True, eq=False)
class Content:
    """Everything a version consists of, before it is written.

    Seen pairs are in CSR form: user `u` has `seen_items[seen_indptr[u]:seen_indptr[u + 1]]`, ascending, and
    `seen_liked` says which of them were liked. Raises ArtifactError when the parts do not fit together.
    """

    users: Vocabulary
    items: Vocabulary
    user_vectors: NDArray[np.float32]  # (n_users, dim)
    item_vectors: NDArray[np.float32]  # (n_items, dim)
    seen_indptr: NDArray[np.int64]  # (n_users + 1,)
    seen_items: NDArray[np.int32]
    seen_liked: NDArray[np.bool_]
    popularity: NDArray[np.float64]  # (n_items,) number of users who liked the item
    catalogue: Catalogue
    config: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trending: NDArray[np.float64] | None = (
        None  # (n_items,) recent likes, see `trending_scores`; None: no times known
    )
    first_seen: NDArray[np.float64] | None = (
        None  # (n_items,) seconds since 1970 of the first interaction, NaN unknown
    )
    placer: Placer | None = None  # of items that have no interactions; None: the version knows no features
    given: GivenRows = NO_ROWS  # rows of feature matrices that came with added items
    user_placer: Placer | None = None  # the same for users

    def __post_init__(self) -> None:
        n_users, n_items = len(self.users), len(self.items)
        dim = self.user_vectors.shape[-1]
        expected = {
            "user_vectors": (n_users, dim),
            "item_vectors": (n_items, dim),
            "seen_indptr": (n_users + 1,),
            "seen_liked": self.seen_items.shape,
            "popularity": (n_items,),
            "trending": (n_items,),
            "first_seen": (n_items,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ArtifactError(f"{name} has shape {array.shape} where the other parts need {shape}")
        for name, dtype in _DTYPES.items():
            if getattr(self, name).dtype != dtype:
                raise ArtifactError(
                    f"{name} holds {getattr(self, name).dtype}, not {dtype.__name__}; convert it"
                )
        if self.catalogue.n_items != n_items:
            raise ArtifactError(
                f"the catalogue describes {self.catalogue.n_items} items, the model has {n_items}"
            )
        for placer in (self.placer, self.user_placer):
            if placer is not None and placer.extractor.dim != dim:
                raise ArtifactError(
                    f"the extractor places into {placer.extractor.dim} dimensions, the vectors have {dim}"
                )
        for name in ("user_vectors", "item_vectors"):
            if not np.isfinite(getattr(self, name)).all():
                raise ArtifactError(
                    f"{name} contain NaN or infinity; the training diverged, do not publish it"
                )

    @classmethod
    def from_pairs(
        cls,
        *,
        users: Vocabulary,
        items: Vocabulary,
        user_vectors: NDArray,
        item_vectors: NDArray,
        user_rows: NDArray[np.integer],
        item_rows: NDArray[np.integer],
        liked: NDArray[np.bool_],
        timestamps: NDArray[np.float64],
        config: dict[str, Any],
        metrics: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        catalogue: Catalogue | None = None,
        placer: Placer | None = None,
        user_placer: Placer | None = None,
    ) -> Content:
        """The content for distinct (user, item) pairs as a data set holds them, in any order.

        `timestamps` are seconds since 1970, NaN where unknown; without any the version has no trending list.
        """
        n_items = len(items)
        order = np.lexsort((item_rows, user_rows))
        indptr = np.zeros(len(users) + 1, dtype=np.int64)
        np.cumsum(np.bincount(user_rows, minlength=len(users)), out=indptr[1:])
        timed = bool(np.isfinite(timestamps).any())
        return cls(
            users=users,
            items=items,
            user_vectors=np.ascontiguousarray(user_vectors, dtype=np.float32),
            item_vectors=np.ascontiguousarray(item_vectors, dtype=np.float32),
            seen_indptr=indptr,
            seen_items=np.asarray(item_rows)[order].astype(np.int32),
            seen_liked=np.asarray(liked, dtype=bool)[order],
            popularity=np.bincount(item_rows[liked], minlength=n_items).astype(np.float64),
            catalogue=catalogue or Catalogue.empty(n_items),
            config=config,
            metrics=metrics or {},
            data=data or {},
            trending=trending_scores(item_rows[liked], timestamps[liked], n_items) if timed else None,
            first_seen=first_times(item_rows, timestamps, n_items) if timed else None,
            placer=placer,
            user_placer=user_placer,
        )


def trending_scores(
    item_rows: NDArray[np.integer],
    timestamps: NDArray[np.float64],
    n_items: int,
    half_life: float = TRENDING_HALF_LIFE,
) -> NDArray[np.float64]:
    """Likes per item (n_items,), each counting half as much for every `half_life` seconds of age.

    Age is measured from the latest like, so the same data gives the same list; what has no time is left out.
    """
    known = np.isfinite(timestamps)
    if not known.any():
        return np.zeros(n_items)
    ages = timestamps[known].max() - timestamps[known]
    return np.bincount(item_rows[known], np.exp2(-ages / half_life), n_items).astype(np.float64)


def first_times(
    item_rows: NDArray[np.integer], timestamps: NDArray[np.float64], n_items: int
) -> NDArray[np.float64]:
    """The time of each item's first interaction (n_items,), NaN where none is known."""
    times = np.full(n_items, np.inf)
    known = np.isfinite(timestamps)
    np.minimum.at(times, item_rows[known], timestamps[known])
    return np.where(np.isinf(times), np.nan, times)
