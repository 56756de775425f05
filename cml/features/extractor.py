"""From encoded features to a place in the metric space, in numpy: the forward pass that serving needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.errors import ArtifactError
from cml.features.encoding import SparseRows

Array = NDArray[np.float32]
BLOCK = 4096  # rows whose products are held at once


@dataclass(frozen=True)
class Layer:
    """weight: (inputs, outputs), so that a sparse row reads whole lines of it. bias: (outputs,)."""

    weight: Array
    bias: Array


class Extractor:
    """A multilayer perceptron with rectified hidden layers; without hidden layers, a linear map.

    length: what the output is scaled to, whatever length the last layer gives it; None leaves it. A regression
    shrinks what it cannot explain, and an item near the centre would be near to everybody. radius: of the ball
    that the output is then drawn back into [CML-5]; None: no ball.
    """

    def __init__(
        self, layers: Sequence[Layer], *, radius: float | None = 1.0, length: float | None = None
    ) -> None:
        _check(layers)
        self.layers, self.radius, self.length = tuple(layers), radius, length

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Extractor:
        """The extractor behind `arrays()`; memory-mapped arrays stay mapped."""
        n_layers = sum(name.startswith("weight:") for name in arrays)
        layers = [Layer(arrays[f"weight:{n}"], arrays[f"bias:{n}"]) for n in range(n_layers)]
        radius, length = (None if np.isnan(value) else float(value) for value in arrays["radius_and_length"])
        return cls(layers, radius=radius, length=length)

    def arrays(self) -> dict[str, NDArray]:
        """Flat arrays to store."""
        bounds = [np.nan if bound is None else bound for bound in (self.radius, self.length)]
        flat: dict[str, NDArray] = {"radius_and_length": np.array(bounds)}
        for number, layer in enumerate(self.layers):
            flat |= {f"weight:{number}": layer.weight, f"bias:{number}": layer.bias}
        return flat

    @property
    def dim(self) -> int:
        """Of the space that it places into."""
        return self.layers[-1].weight.shape[1]

    def __call__(self, rows: SparseRows) -> Array:
        """(rows, dim): where the items lie. Raises ArtifactError for rows of another encoder."""
        first, *others = self.layers
        if rows.n_columns != len(first.weight):
            raise ArtifactError(
                f"features have {rows.n_columns} columns, the extractor expects {len(first.weight)}; "
                "encode with the encoder of the same version"
            )
        places = np.empty((len(rows), self.dim), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            hidden = _sparse_product(rows, start, min(start + BLOCK, len(rows)), first.weight) + first.bias
            for layer in others:
                hidden = np.maximum(hidden, 0) @ layer.weight + layer.bias
            places[start : start + BLOCK] = self._bounded(hidden)
        return places

    def _bounded(self, places: Array) -> Array:
        lengths = np.linalg.norm(places, axis=1, keepdims=True)
        if self.length is not None:
            places = places * (self.length / np.maximum(lengths, 1e-12))
            lengths = np.minimum(lengths * 1e12, self.length)
        return places if self.radius is None else places * (self.radius / np.maximum(lengths, self.radius))


def _sparse_product(rows: SparseRows, start: int, end: int, weight: Array) -> Array:
    """Rows start..end times the weight, (end - start, outputs)."""
    product = np.zeros((end - start, weight.shape[1]), dtype=np.float32)
    for row in range(start, end):
        entries = slice(rows.indptr[row], rows.indptr[row + 1])
        product[row - start] = rows.values[entries] @ weight[rows.indices[entries]]
    return product


def _check(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ArtifactError("the extractor has no layers; train it again")
    for number, layer in enumerate(layers):
        inputs, outputs = layer.weight.shape
        expected = layers[number - 1].weight.shape[1] if number else inputs
        if layer.bias.shape != (outputs,) or inputs != expected:
            raise ArtifactError(
                f"layer {number} of the extractor has weight {layer.weight.shape} and bias {layer.bias.shape}, "
                f"but takes {expected} inputs; train it again"
            )
