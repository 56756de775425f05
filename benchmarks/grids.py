"""Which configurations each peer may try. The first ones are where earlier tuning ended on such data.

A fit is judged on validation data after each of its `epochs`, so an epoch is chosen as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Grid:
    """Configurations in the order in which a budget takes them."""

    settings: Sequence[Mapping[str, Any]]
    epochs: Sequence[int] = (1,)


def _als(factors: int, regularization: float, alpha: float) -> dict[str, Any]:
    return {"factors": factors, "regularization": regularization, "alpha": alpha}


def _bpr(factors: int, learning_rate: float, regularization: float) -> dict[str, Any]:
    return {"factors": factors, "learning_rate": learning_rate, "regularization": regularization}


def _lightfm(no_components: int, learning_rate: float, max_sampled: int = 100) -> dict[str, Any]:
    return {
        "no_components": no_components,
        "learning_rate": learning_rate,
        "max_sampled": max_sampled,
        "learning_schedule": "adagrad",
    }


def _pytorchcml(n_dim: int, learning_rate: float, loss: str) -> dict[str, Any]:
    return {
        "n_dim": n_dim,
        "learning_rate": learning_rate,
        "loss": loss,
        "margin": 0.5,
        "n_neg_samples": 20,
        "batch_size": 2048,
    }


def _ials(dim: int, regularization: float, catalogue: float) -> dict[str, Any]:
    return {"dim": dim, "regularization": regularization, "catalogue": catalogue, "sweeps": 10}


PEER_GRIDS: Mapping[str, Grid] = {
    "implicit-als": Grid((_als(16, 10, 5), _als(512, 50, 40), _als(256, 20, 10)), (3, 5, 10, 15)),
    "implicit-bpr": Grid(
        (_bpr(64, 0.05, 0.01), _bpr(128, 0.1, 0.01), _bpr(128, 0.05, 0.03)), (20, 50, 100, 200)
    ),
    "lightfm-warp": Grid(
        (_lightfm(64, 0.05), _lightfm(128, 0.05), _lightfm(32, 0.03)), (5, 10, 20, 30, 45, 60)
    ),
    "pytorchcml": Grid(
        (_pytorchcml(64, 3e-3, "min"), _pytorchcml(64, 1e-2, "min"), _pytorchcml(128, 3e-3, "sum")),
        (5, 10, 20, 40, 60, 80),
    ),
}
OWN_GRIDS: Mapping[str, Grid] = {
    "popularity": Grid(({},)),
    "item-knn": Grid(({"neighbours": 100}, {"neighbours": 30}, {"neighbours": 400})),
    "ease": Grid(({"penalty": 300.0}, {"penalty": 100.0}, {"penalty": 1000.0})),
    "ials": Grid((_ials(256, 0.02, 100), _ials(256, 0.05, 100), _ials(256, 0.008, 100))),
}
