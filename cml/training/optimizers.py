"""Optimisers that touch only the rows a step has moved, and put these back into the ball [CML-5]."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from cml.training.space import project_to_ball


class RowOptimizer(Protocol):
    """Moves some rows of one table; its state can be saved and restored."""

    def step(self, rows: Tensor, gradient: Tensor, scale: float) -> None:
        """Move distinct `rows` (n,) against `gradient` (n, dim) with the learning rate times `scale`."""

    def state(self) -> dict[str, Tensor]:
        """The tensors that a checkpoint must hold; restoring writes into them in place."""


class RowwiseAdagrad:
    """Adagrad with one accumulator a row: the mean square of the row's gradients.

    All components of a row share a step size, so a step commutes with rotations of the space, as distances do;
    it also needs a fraction of the memory.
    """

    def __init__(
        self, table: Tensor, radius: float | None, learning_rate: float, initial_accumulator: float = 0.1
    ) -> None:
        self._table, self._radius, self._learning_rate = table, radius, learning_rate
        self._squares = table.new_full((len(table), 1), initial_accumulator)

    def step(self, rows: Tensor, gradient: Tensor, scale: float) -> None:
        squares = self._squares[rows].add_(gradient.square().mean(1, keepdim=True))
        self._squares[rows] = squares
        moved = self._table[rows].addcmul_(gradient, squares.rsqrt_(), value=-self._learning_rate * scale)
        self._table[rows] = project_to_ball(moved, self._radius)

    def state(self) -> dict[str, Tensor]:
        return {"squares": self._squares}


class RowAdagrad:
    """Adagrad with an accumulator for each component of each row."""

    def __init__(
        self, table: Tensor, radius: float | None, learning_rate: float, initial_accumulator: float = 0.1
    ) -> None:
        self._table, self._radius, self._learning_rate = table, radius, learning_rate
        self._squares = torch.full_like(table, initial_accumulator)

    def step(self, rows: Tensor, gradient: Tensor, scale: float) -> None:
        squares = self._squares[rows].addcmul_(gradient, gradient)
        self._squares[rows] = squares
        moved = self._table[rows].addcdiv_(gradient, squares.sqrt_(), value=-self._learning_rate * scale)
        self._table[rows] = project_to_ball(moved, self._radius)

    def state(self) -> dict[str, Tensor]:
        return {"squares": self._squares}


class RowAdam:
    """Adam whose moments and step count advance for touched rows only ("lazy" Adam)."""

    def __init__(
        self,
        table: Tensor,
        radius: float | None,
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self._table, self._radius, self._learning_rate = table, radius, learning_rate
        self._betas, self._epsilon = betas, epsilon
        self._mean = torch.zeros_like(table)
        self._square = torch.zeros_like(table)
        self._steps = torch.zeros(len(table), 1, device=table.device)

    def step(self, rows: Tensor, gradient: Tensor, scale: float) -> None:
        first, second = self._betas
        steps = self._steps[rows] + 1
        mean = torch.lerp(gradient, self._mean[rows], first)
        square = torch.lerp(gradient.square(), self._square[rows], second)
        self._steps[rows], self._mean[rows], self._square[rows] = steps, mean, square
        root = (square / (1 - second**steps)).sqrt_().add_(self._epsilon)
        direction = mean / (1 - first**steps) / root
        moved = self._table[rows].sub_(direction, alpha=self._learning_rate * scale)
        self._table[rows] = project_to_ball(moved, self._radius)

    def state(self) -> dict[str, Tensor]:
        return {"mean": self._mean, "square": self._square, "steps": self._steps}


OPTIMIZERS: dict[str, type[RowwiseAdagrad] | type[RowAdagrad] | type[RowAdam]] = {
    "rowwise-adagrad": RowwiseAdagrad,
    "adagrad": RowAdagrad,
    "adam": RowAdam,
}
