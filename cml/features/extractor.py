"""From encoded features to a place in the metric space, in numpy: the forward pass that serving needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cml.errors import ArtifactError
from cml.features.encoding import SparseRows

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """weight: (outputs, inputs), as torch.nn.Linear keeps it. bias: (outputs,)."""

    weight: Array
    bias: Array


class Extractor:
    """A multilayer perceptron with rectified hidden layers whose output is drawn back into the unit ball."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        _check(layers)
        self.layers = tuple(layers)

    def __call__(self, rows: SparseRows) -> Array:
        """(rows, dim): where the items lie; no vector is longer than one."""
        first, *others = self.layers
        if rows.n_columns != first.weight.shape[1]:
            raise ArtifactError(
                f"features have {rows.n_columns} columns, the extractor expects {first.weight.shape[1]}; "
                "encode with the encoder of the same version"
            )
        hidden = _sparse_product(rows, first.weight) + first.bias
        for layer in others:
            hidden = np.maximum(hidden, 0) @ layer.weight.T + layer.bias
        lengths = np.linalg.norm(hidden, axis=1, keepdims=True)
        return np.asarray(hidden / np.maximum(lengths, 1), dtype=np.float32)


def _sparse_product(rows: SparseRows, weight: Array) -> Array:
    product = np.zeros((len(rows), weight.shape[0]), dtype=np.float32)
    owners = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
    np.add.at(product, owners, weight.T[rows.indices] * rows.values[:, None])
    return product


def _check(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ArtifactError("the extractor has no layers; train it again")
    for number, layer in enumerate(layers):
        outputs, inputs = layer.weight.shape
        expected = inputs if number == 0 else layers[number - 1].weight.shape[0]
        if layer.bias.shape != (outputs,) or inputs != expected:
            raise ArtifactError(
                f"layer {number} of the extractor has weight {layer.weight.shape} and bias {layer.bias.shape}, "
                f"but takes {expected} inputs; train it again"
            )
