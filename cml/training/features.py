"""Features of items or users in training: fitted onto their places, and drawing these places in turn [CML-3].

The feature loss is minimised in turns: over the extractor before each epoch, the vectors held still, and over the
vectors in every step, the extractor's places held still. An extractor is a function of the vectors that it was
fitted to and of nothing else, so a checkpoint need not hold one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from cml.catalogue import Catalogue
from cml.config import ExtractorConfig
from cml.errors import DataError
from cml.features.encoding import FeatureEncoder, SparseRows
from cml.features.extractor import Extractor, Layer
from cml.features.matrix import with_matrices
from cml.features.placing import Placer
from cml.features.schema import FeatureSchema
from cml.training.perceptron import fit_perceptron
from cml.training.ridge import ridge
from cml.vocabulary import Vocabulary

Array = NDArray[np.float32]
NONE: Mapping[str, Sequence[object]] = MappingProxyType({})
ReadCatalogue = Callable[[Vocabulary], Catalogue]  # what a table says of those in a vocabulary


@dataclass(frozen=True, eq=False)
class EncodedFeatures:
    """The encoded features of the items of a data set, in row order, and how an extractor is fitted to them.

    Users are described by the same means: for them, read user for item.
    """

    encoder: FeatureEncoder
    rows: SparseRows
    settings: ExtractorConfig

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        settings: ExtractorConfig,
        matrices: Mapping[str, Sequence[object]] = NONE,
        beside: Catalogue | None = None,
        told: Callable[[list[dict[str, Any]], FeatureSchema], list[dict[str, Any]]] = lambda items, _: items,
        what: str = "item",
    ) -> EncodedFeatures:
        """Encode the columns that the settings name, and matrices by name with a row or None for each item.

        beside: items that will be placed, from which the encoder learns its terms as well. told: completes the
        items' values by what no table and file says, see `Told`. what: the rows are. Raises ConfigError, DataError.
        """
        kinds = {name: column.kind for name, column in catalogue.columns.items()}
        schema = FeatureSchema.parse(settings.columns, kinds, matrices, what)
        items = told(with_matrices(records(catalogue), matrices), schema)
        known = [*items, *records(beside)] if beside else items
        encoder = FeatureEncoder.fit(schema, known, max_terms=settings.max_terms)
        rows = encoder.encode(items)
        if rows.empty.all():
            columns = ", ".join(feature.column for feature in schema.features)
            raise DataError(
                f"features {columns}: no {what} of the training data has a value; check the ids of the {what} table"
            )
        return cls(encoder, rows, settings)

    def fingerprint(self) -> str:
        """SHA-256 of the encoded rows: what a checkpoint was trained with."""
        digest = sha256(np.int64(self.rows.n_columns).tobytes())
        for part in (self.rows.indptr, self.rows.indices, self.rows.values):
            digest.update(part.tobytes())
        return digest.hexdigest()

    def placer(self, vectors: Array, radius: float | None) -> Placer:
        """What places items near to where these vectors (n_items, dim) say that their features belong.

        Only items with a feature are learned from. The mean is not shrunk, so an item without features lies in
        its direction, and places take the mean length of the vectors.
        """
        has = ~self.rows.empty
        inputs, targets = as_matrix(self.rows)[has], vectors[has]
        mean, length = _mean_and_length(targets)
        if self.settings.hidden:
            layers = fit_perceptron(inputs, targets, mean, self.settings)
            extractor = Extractor(layers, radius=radius, length=length)
        else:
            extractor = linear_extractor(inputs, targets, self.settings.penalty, radius=radius)
        return Placer(self.encoder, extractor)

    def leaned(self, vectors: Array, likes: NDArray[np.integer], radius: float | None) -> Array:
        """Vectors to start from: each the mean of where it is, with its likes as weight, and its features' place."""
        placement = self.placer(vectors, radius).place_rows(self.rows)
        weight = np.where(placement.known, self.settings.weight, 0.0)[:, None]
        own = likes[:, None].astype(np.float64)
        leaned = (own * vectors + weight * placement.vectors) / np.maximum(own + weight, 1e-12)
        return np.where(own + weight > 0, leaned, vectors).astype(np.float32)


def linear_extractor(
    rows: csr_array, vectors: Array, penalty: float, *, radius: float | None = None
) -> Extractor:
    """Ridge regression from rows (n, columns) onto vectors (n, dim), whose outputs take their mean length.

    The mean is not shrunk: what has no features lies in its direction.
    """
    mean, length = _mean_and_length(vectors)
    return Extractor([Layer(ridge(rows, vectors - mean, penalty), mean)], radius=radius, length=length)


def _mean_and_length(vectors: Array) -> tuple[Array, float]:
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean, float(np.linalg.norm(vectors, axis=1).mean())


def records(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every item's values, in row order."""
    return [catalogue.record(row) for row in range(catalogue.n_items)]


def as_matrix(rows: SparseRows) -> csr_array:
    """Encoded rows as a SciPy matrix over the same arrays."""
    return csr_array((rows.values, rows.indices, rows.indptr), shape=(len(rows), rows.n_columns))


def as_rows(matrix: csr_array) -> SparseRows:
    """The way back."""
    indptr, indices = (part.astype(np.int64) for part in (matrix.indptr, matrix.indices))
    return SparseRows(indptr, indices, matrix.data.astype(np.float32), matrix.shape[1])


@dataclass
class FeaturePrior:
    """The feature loss as the vectors feel it: `weight` times the squared distance to each item's place.

    An epoch's sum is over the items, so the weight is in units of one like: an item with fewer likes than that
    leans on its features more than on who likes it, and one with many hardly feels them.
    """

    features: EncodedFeatures
    radius: float | None
    positives: int  # of an epoch
    places: Tensor  # (n_items, dim)
    weights: Tensor  # (n_items,) of each item; 0 for those without features

    @classmethod
    def of(
        cls, features: EncodedFeatures, items: Tensor, radius: float | None, positives: int
    ) -> FeaturePrior:
        """A prior without places yet; `renew` gives it some."""
        return cls(features, radius, positives, torch.empty_like(items), items.new_zeros(len(items)))

    def renew(self, items: Tensor, scale: float = 1.0) -> None:
        """Fit the extractor to where the items (n_items, dim) are now. scale: of the weight."""
        placer = self.features.placer(items.cpu().numpy(), self.radius)
        placement = placer.place_rows(self.features.rows)
        self.places = torch.from_numpy(placement.vectors).to(items)
        self.weights = torch.from_numpy(placement.known).to(items) * (self.features.settings.weight * scale)

    def share(self, rows: Tensor, positives: int) -> Tensor:
        """(rows,) weight in a step that touches these items: over an epoch each item's sum to its weight."""
        touched = len(self.places) / len(rows)
        return self.weights[rows] * (positives / self.positives * touched)

    def add_gradient(self, rows: Tensor, items: Tensor, by_items: Tensor, share: Tensor) -> float:
        """Add the gradient by the touched items to `by_items` (rows, dim); returns the weighted loss.

        share: (rows,) weight in this step.
        """
        gap = items - self.places[rows]
        by_items.addcmul_(gap, share[:, None], value=2)
        return float(gap.square().sum(1) @ share)


@dataclass
class UserPrior(FeaturePrior):
    """The feature loss as the users' vectors feel it. A step touches a user with some of the user's own likes."""

    likes: Tensor  # (n_users,)

    @classmethod
    def of_users(
        cls, features: EncodedFeatures, users: Tensor, radius: float | None, likes: Tensor
    ) -> UserPrior:
        """A prior without places yet; `renew` gives it some. likes: (n_users,) in the data."""
        places, weights = torch.empty_like(users), users.new_zeros(len(users))
        return cls(features, radius, int(likes.sum()), places, weights, likes.to(users))

    def share_of(self, rows: Tensor, owner: Tensor, weights: Tensor) -> Tensor:
        """(rows,) weight in a step with these users: over an epoch each user's sum to that of so many own likes.

        owner: (batch,) position in `rows` of each positive. weights: (batch,) of the positives.
        """
        own = torch.zeros_like(self.likes[rows]).index_add_(0, owner, weights)
        return self.weights[rows] * own / self.likes[rows]
