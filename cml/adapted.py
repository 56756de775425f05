"""A placer for a second catalogue: from a trained space and two catalogues, with what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from cml.config import RunConfig
from cml.errors import DataError
from cml.evaluation.domains import Sight, compared
from cml.features.encoding import SparseRows
from cml.features.placing import Placer
from cml.training.adaptation import AdaptationSettings, Record, adapt
from cml.training.alignments import alignment_of, critic_gap
from cml.training.features import EncodedFeatures, as_matrix, as_rows
from cml.training.space import Space
from cml.training.taste import leaning, taste_places

CRITIC_GAP_STEPS = 40
LEAST = 4  # items on a side for the diagnostics, whose classifier learns on half of them


@dataclass(frozen=True, eq=False)
class Adapted:
    """A placer, and the two catalogues as the source-only extractor and as this placer see them."""

    placer: Placer
    before: Sight
    after: Sight
    history: list[Record]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "history": self.history,
        }

    def text(self) -> str:
        """A line each for before and after."""
        return "\n".join(
            f"{name:<12} A-distance {r.a_distance:.3f}  critic gap {sight.critic_gap:.3f}  W1 {r.sliced:.4f}  "
            f"spread {r.spread:.2f}  neighbours {r.overlap:.2f}"
            for name, sight in (("source only", self.before), ("adapted", self.after))
            for r in (sight.report,)
        )


def adapted(
    features: EncodedFeatures, space: Space, liked: csr_array, target: SparseRows, config: RunConfig
) -> Adapted:
    """Adapt the extractor of a trained space to the encoded items of another catalogue.

    features: of the space's items, by an encoder that learned from both catalogues. liked: (users, items) of
    training. Items without a feature are left out. Raises DataError with fewer than 4 items on a side.
    """
    settings, vectors = config.features, space.items.numpy()
    known, there = np.flatnonzero(~features.rows.empty), np.flatnonzero(~target.empty)
    for name, rows in (("training", known), ("target", there)):
        if len(rows) < LEAST:
            raise DataError(
                f"the {name} catalogue has {len(rows)} items with features, {LEAST} are needed; check the columns"
            )
    source, target = chosen(features.rows, known), chosen(target, there)
    places = vectors
    if settings.taste:
        tastes = taste_places(space.users.numpy(), liked, as_matrix(features.rows))
        places = leaning(vectors, tastes, settings.taste)
    alone = features.placer(vectors, space.radius)
    start = features.placer(places, space.radius) if settings.taste else alone
    randomness = torch.Generator().manual_seed(int(config.rng("adaptation").integers(2**62)))
    extractor, history = start.extractor, list[Record]()
    if settings.alignment != "none":
        extractor, history = adapt(
            extractor,
            source,
            places[known],
            target,
            space.users.numpy(),
            alignment_of(settings, vectors.shape[1], randomness),
            AdaptationSettings(
                steps=settings.adaptation_steps, shrinkage=settings.penalty, keep=settings.keep
            ),
            randomness=randomness,
        )
    placer = Placer(features.encoder, extractor)
    before, after = (diagnosed(each, source, target) for each in (alone, placer))
    return Adapted(placer, before, after, history)


def chosen(rows: SparseRows, which: np.ndarray) -> SparseRows:
    """Some of the rows, in that order."""
    return as_rows(as_matrix(rows)[which])


def diagnosed(placer: Placer, source: SparseRows, target: SparseRows) -> Sight:
    """The diagnostics of a placer, always with the same chance, and the gap that a fresh critic finds.

    source, target: encoded items of the two catalogues, by the placer's own encoder, without empty rows.
    """
    ends = placer.extractor(source), placer.extractor(target)
    report = compared(*ends, as_matrix(target), np.random.default_rng(0))
    scale = float(np.linalg.norm(ends[0], axis=1).mean()) / ends[0].shape[1] ** 0.5
    units = [torch.from_numpy(rows / scale) for rows in ends]
    return Sight(*ends, report, critic_gap(units[0], units[1], steps=CRITIC_GAP_STEPS) * scale)
