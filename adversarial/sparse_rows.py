"""Feature rows, dense or sparse, and a first layer that takes either without making sparse ones dense.

A batch of sparse rows times a weight matrix is a weighted sum of the matrix's rows: `embedding_bag`. Its
gradient is the same operation with the batch transposed, which costs a tenth of what automatic
differentiation of `embedding_bag` spends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from adversarial.networks import start_weights


@dataclass(frozen=True)
class SparseBatch:
    """A few rows of a CSR matrix, by rows and by columns, as `embedding_bag` wants them."""

    by_row: Bags
    by_column: Bags
    """The same entries gathered by feature: what the gradient needs."""

    def __len__(self) -> int:
        return len(self.by_row.starts)

    def to(self, device: str | torch.device) -> SparseBatch:
        """The same rows on a device."""
        return SparseBatch(self.by_row.to(device), self.by_column.to(device))


@dataclass(frozen=True)
class Bags:
    """Compressed rows: entries starts[i] .. starts[i + 1] of `places` and `values` belong to row i."""

    places: Tensor
    values: Tensor
    starts: Tensor

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Bags:
        return cls(
            torch.from_numpy(matrix.indices),
            torch.from_numpy(matrix.data),
            torch.from_numpy(matrix.indptr[:-1]),
        )

    def to(self, device: str | torch.device) -> Bags:
        """The same rows on a device."""
        return Bags(self.places.to(device), self.values.to(device), self.starts.to(device))

    def times(self, matrix: Tensor) -> Tensor:
        """These rows times a dense matrix."""
        return functional.embedding_bag(
            self.places, matrix, self.starts, mode="sum", per_sample_weights=self.values
        )


class FeatureTable:
    """Rows of features that batches are taken from: a dense array, or a sparse one kept sparse."""

    def __init__(self, features: Any) -> None:
        """features: (n, dim) array or SciPy sparse matrix of finite numbers; copied to float32."""
        if sparse.issparse(features):
            self._sparse: sparse.csr_array | None = _as_csr(features)
            self._dense = torch.empty(0)
        else:
            self._sparse = None
            self._dense = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
        self.shape: tuple[int, int] = tuple(features.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def only(self, rows: Tensor) -> FeatureTable:
        """A table of the given rows, in the given order."""
        if self._sparse is None:
            return FeatureTable(self._dense[rows].numpy())
        return FeatureTable(self._sparse[rows.numpy()])

    def followed_by(self, other: FeatureTable) -> FeatureTable:
        """Both tables as one, the other's rows after these; sparse when either is."""
        if self._sparse is None and other._sparse is None:
            return FeatureTable(torch.cat([self._dense, other._dense]).numpy())
        return FeatureTable(sparse.vstack([self._as_sparse(), other._as_sparse()], format="csr"))

    def _as_sparse(self) -> sparse.csr_array:
        return sparse.csr_array(self._dense.numpy()) if self._sparse is None else self._sparse

    def take(self, rows: Tensor) -> Tensor | SparseBatch:
        """The given rows, in the given order."""
        if self._sparse is None:
            return self._dense[rows]
        chosen = self._sparse[rows.numpy()]
        return SparseBatch(Bags.of(chosen), Bags.of(sparse.csr_array(chosen.T)))


def _as_csr(matrix: Any) -> sparse.csr_array:
    return sparse.csr_array(matrix).astype(np.float32)


class FirstLayer(nn.Module):
    """features @ weight + bias for dense or sparse rows. weight: (in, out), so that its rows lie together."""

    def __init__(self, fan_in: int, fan_out: int, *, randomness: torch.Generator, bias: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(fan_in, fan_out))
        self.bias = nn.Parameter(torch.full((fan_out,), bias))
        start_weights(self.weight, fan_in, randomness)

    def forward(self, rows: Tensor | SparseBatch) -> Tensor:
        """(batch, in) to (batch, out)."""
        if isinstance(rows, SparseBatch):
            return _SparseTimesDense.apply(self.weight, rows) + self.bias
        return torch.addmm(self.bias, rows, self.weight)


class _SparseTimesDense(torch.autograd.Function):
    """rows @ weight with the gradient rows.T @ gradient, both as sums over the entries that are there."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: SparseBatch) -> Tensor:
        ctx.rows = rows
        return rows.by_row.times(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.rows.by_column.times(gradients[0].contiguous()), None
