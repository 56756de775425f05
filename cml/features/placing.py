"""Where an item or a user without interactions belongs: its features encoded, then mapped into the metric space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.errors import ArtifactError
from cml.features.encoding import FeatureEncoder, Item, SparseRows
from cml.features.extractor import Extractor

_ENCODER, _EXTRACTOR = "encoder", "extractor"


@dataclass(frozen=True, eq=False)
class Placement:
    """Places of some items or users, and which of them rest on at least one feature."""

    vectors: NDArray[np.float32]  # (n, dim)
    known: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True, eq=False)
class Placer:
    """An encoder with the extractor that was fitted behind it. Raises ArtifactError where the two do not fit."""

    encoder: FeatureEncoder
    extractor: Extractor

    def __post_init__(self) -> None:
        expected = len(self.extractor.layers[0].weight)
        if self.encoder.n_columns != expected:
            raise ArtifactError(
                f"the feature encoder gives {self.encoder.n_columns} columns, the extractor takes {expected}; "
                "train the version again"
            )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Placer:
        """The placer behind `arrays()`; memory-mapped arrays stay mapped."""
        return cls(
            FeatureEncoder.from_arrays(_below(_ENCODER, arrays)),
            Extractor.from_arrays(_below(_EXTRACTOR, arrays)),
        )

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store."""
        return {f"{_ENCODER}/{name}": array for name, array in self.encoder.arrays().items()} | {
            f"{_EXTRACTOR}/{name}": array for name, array in self.extractor.arrays().items()
        }

    @property
    def columns(self) -> dict[str, str]:
        """The columns that count, each with its kind of feature."""
        return {feature.column: feature.kind for feature in self.encoder.schema.features}

    def place(self, items: Sequence[Item]) -> Placement:
        """Where items (or users) with these values belong. Raises DataError for a number that is none."""
        return self.place_rows(self.encoder.encode(items))

    def place_rows(self, rows: SparseRows) -> Placement:
        """The same for encoded items."""
        return Placement(self.extractor(rows), ~rows.empty)


def _below(part: str, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    return {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{part}/")}
