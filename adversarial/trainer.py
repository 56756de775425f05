"""One loop for every method: a few critic steps, one generator step, and what it takes to go on later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from adversarial import checkpoints
from adversarial.errors import ModelError, SettingError, TrainingError
from adversarial.methods import Method, clip_parameters

Draw = Callable[[int, torch.Generator], Tensor]
"""(count, randomness) to that many real samples, (count, ...)."""
Record = dict[str, float]
COLUMNS = ("step", "critic_loss", "generator_loss", "estimate", "penalty")
"""What the history holds for each generator step. `estimate` is mean f(real) - mean f(generated)."""


class Trainer:
    """Trains a generator against a critic by `method`, with all randomness drawn from `randomness`.

    The two networks are trained in place, on the device where they are; random numbers are drawn on the CPU, so
    that a seed means the same on every device. `history` has one record of COLUMNS per generator step, measured
    in its last critic step. The same arguments and the same state of `randomness` give the same result.
    """

    def __init__(
        self,
        method: Method,
        generator: nn.Module,
        critic: nn.Module,
        draw: Draw,
        *,
        noise_dim: int,
        batch_size: int,
        randomness: torch.Generator,
    ) -> None:
        if noise_dim < 1 or batch_size < 1:
            raise SettingError(
                f"noise_dim {noise_dim} and batch_size {batch_size} both have to be at least 1"
            )
        self.method, self.generator, self.critic = method, generator, critic
        self.history: list[Record] = []
        self._draw, self._noise_dim, self._batch_size = draw, noise_dim, batch_size
        self._randomness = randomness
        self._device = next(generator.parameters()).device
        self._critic_optimiser = method.optimiser(critic.parameters())
        self._generator_optimiser = method.optimiser(generator.parameters())

    def run(
        self,
        steps: int,
        *,
        observe: Callable[[Record], None] | None = None,
        stop: Callable[[Record], bool] | None = None,
    ) -> None:
        """Make up to `steps` generator steps more, showing each record to `observe`, until `stop` says so."""
        for _ in range(steps):
            record = self.step()
            if observe is not None:
                observe(record)
            if stop is not None and stop(record):
                return

    def step(self) -> Record:
        """The method's critic steps and one generator step. Raises TrainingError if a loss is not finite."""
        for _ in range(self.method.critic_steps):
            measured = self._critic_step()
        record = {"step": float(len(self.history) + 1), "generator_loss": self._generator_step(), **measured}
        if not all(torch.isfinite(torch.tensor(list(record.values())))):
            raise TrainingError(
                f"{self.method.name}: step {len(self.history) + 1} has a loss that is not finite ({record}); "
                "lower the learning rate or check the samples"
            )
        self.history.append(record)
        return record

    @torch.no_grad()
    def sample(self, count: int, randomness: torch.Generator) -> Tensor:
        """`count` generated points from noise of their own, which leaves training undisturbed."""
        return self.generator(self._noise(count, randomness))

    def save(self, path: Path) -> None:
        """Store networks, optimisers, randomness and history, so that `load` can go on exactly from here."""
        columns = {f"history/{name}": [record[name] for record in self.history] for name in COLUMNS}
        tensors = {
            **checkpoints.module_tensors("generator", self.generator),
            **checkpoints.module_tensors("critic", self.critic),
            **checkpoints.optimiser_tensors("generator_optimiser", self._generator_optimiser),
            **checkpoints.optimiser_tensors("critic_optimiser", self._critic_optimiser),
            **{name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()},
            "randomness": self._randomness.get_state(),
        }
        checkpoints.write(path, tensors, self._facts())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same method, networks and batch size, or raise ModelError."""
        tensors, facts = checkpoints.read(path)
        if facts != self._facts():
            raise ModelError(f"{path}: was written with {facts}, this trainer has {self._facts()}")
        checkpoints.load_module("generator", self.generator, tensors)
        checkpoints.load_module("critic", self.critic, tensors)
        checkpoints.load_optimiser("generator_optimiser", self._generator_optimiser, tensors)
        checkpoints.load_optimiser("critic_optimiser", self._critic_optimiser, tensors)
        columns = [tensors[f"history/{name}"].tolist() for name in COLUMNS]
        self.history = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
        self._randomness.set_state(tensors["randomness"])

    def _facts(self) -> dict[str, object]:
        return {
            "format": 1,
            "method": self.method.name,
            "noise_dim": self._noise_dim,
            "batch_size": self._batch_size,
        }

    def _critic_step(self) -> Record:
        method = self.method
        real = self._draw(self._batch_size, self._randomness).to(self._device)
        with torch.no_grad():
            generated = self.generator(self._batch_of_noise())
        real_scores, generated_scores = self.critic(real), self.critic(generated)
        loss = method.on_real(real_scores).mean() + method.on_generated(generated_scores).mean()
        penalty = torch.zeros((), device=self._device)
        if method.penalty is not None:
            penalty = method.penalty(self.critic, real, generated, self._randomness).mean()
        self._critic_optimiser.zero_grad()
        (loss + penalty).backward()
        self._critic_optimiser.step()
        if method.clip is not None:
            clip_parameters(self.critic, method.clip)
        estimate = real_scores.mean() - generated_scores.mean()
        return {"critic_loss": loss.item(), "estimate": estimate.item(), "penalty": penalty.item()}

    def _generator_step(self) -> float:
        loss = self.method.for_generator(self.critic(self.generator(self._batch_of_noise()))).mean()
        self._generator_optimiser.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()))
        self._generator_optimiser.step()
        return loss.item()

    def _batch_of_noise(self) -> Tensor:
        return self._noise(self._batch_size, self._randomness)

    def _noise(self, count: int, randomness: torch.Generator) -> Tensor:
        return torch.randn(count, self._noise_dim, generator=randomness).to(self._device)


@dataclass
class Patience:
    """An early stop: true once `column` has not fallen by `smallest_gain` for `steps` records in a row."""

    column: str
    steps: int
    smallest_gain: float = 0.0
    _best: float = field(default=float("inf"), init=False)
    _waited: int = field(default=0, init=False)

    def __call__(self, record: Record) -> bool:
        if record[self.column] < self._best - self.smallest_gain:
            self._best, self._waited = record[self.column], 0
        else:
            self._waited += 1
        return self._waited >= self.steps
