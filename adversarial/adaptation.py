"""The training loop of domain adaptation: a network, an alignment, rows of two domains.

It takes no labels of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adversarial.alignments import Alignment
from adversarial.errors import TrainingError
from adversarial.networks import mlp
from adversarial.sparse_rows import FeatureTable, FirstLayer, SparseBatch

TaskLoss = Callable[[Tensor, Tensor], Tensor]
"""(head outputs, targets of the same rows) to one loss each."""
Record = dict[str, float]


class AdaptedNetwork(nn.Module):
    """A feature extractor (ReLU after every layer) and a head on top of its features."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], head: nn.Module, *, randomness: torch.Generator
    ) -> None:
        super().__init__()
        self.first = FirstLayer(inputs, hidden[0], randomness=randomness, bias=0.1)
        deeper = mlp(hidden, randomness=randomness, bias=0.1) if len(hidden) > 1 else nn.Identity()
        self.deeper = nn.Sequential(nn.ReLU(), deeper, nn.ReLU())
        self.head = head

    def features(self, rows: Tensor | SparseBatch) -> Tensor:
        """(batch, inputs) to (batch, hidden[-1])."""
        return self.deeper(self.first(rows))


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast. `batch_size` rows of each domain per step; `l2` acts on weights, not biases."""

    steps: int = 10_000
    batch_size: int = 32
    learning_rate: float = 1e-4
    l2: float = 1e-4
    record_every: int = 100


def adapt(
    network: AdaptedNetwork,
    alignment: Alignment,
    task_loss: TaskLoss,
    source: FeatureTable,
    targets: Tensor,
    target: FeatureTable,
    settings: LoopSettings,
    *,
    randomness: torch.Generator,
    observe: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Train `network` in place [WDGRL-4] and return a record of each `record_every` steps and the last.

    source, targets: labelled rows and what the head should give for them. target: rows of the other domain.
    The work is done where `network` is, which is where `alignment` has to be; random numbers are drawn on the CPU.
    `network` is in training mode except while `observe` looks, and in evaluation mode afterwards. Frozen
    parameters stay as they are. The batch is min(batch_size, rows of either domain). Raises TrainingError
    when the loss is not finite.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = make_optimiser(trained, settings)
    network.train()
    batch = min(settings.batch_size, len(source), len(target))
    source_rows, target_rows = (
        _batches(len(source), batch, randomness),
        _batches(len(target), batch, randomness),
    )
    device = trained[0].device
    both, targets, history = source.followed_by(target), targets.to(device), []
    for step in range(1, settings.steps + 1):
        chosen = next(source_rows)
        rows = torch.cat([chosen, len(source) + next(target_rows)])
        hidden_source, hidden_target = network.features(both.take(rows).to(device)).split(batch)
        alignment.learn(hidden_source.detach(), hidden_target.detach())
        task = task_loss(network.head(hidden_source), targets[chosen]).mean()
        gap = alignment.loss(hidden_source, hidden_target, (step - 1) / settings.steps)
        optimiser.zero_grad()
        (task + gap).backward(inputs=trained)
        optimiser.step()
        if step % settings.record_every == 0 or step == settings.steps:
            history.append(_record(step, task, gap))
            if observe is not None:
                network.eval()
                observe(history[-1])
                network.train()
    network.eval()
    return history


def make_optimiser(parameters: Sequence[nn.Parameter], settings: LoopSettings) -> torch.optim.Optimizer:
    """Fused Adam, with `l2` on everything that is a matrix: half the squared norm, as part of the loss."""
    matrices = [p for p in parameters if p.dim() > 1]
    others = [p for p in parameters if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": settings.l2}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=settings.learning_rate, fused=True)


def _batches(count: int, batch: int, randomness: torch.Generator) -> Iterator[Tensor]:
    """Rows in random order, `batch` at a time, shuffled anew when fewer than that are left."""
    while True:
        yield from torch.randperm(count, generator=randomness)[: count - count % batch].split(batch)


def _record(step: int, task: Tensor, gap: Tensor) -> Record:
    record = {"step": float(step), "task_loss": task.item(), "alignment_loss": gap.item()}
    if not torch.isfinite(task + gap):
        raise TrainingError(
            f"step {step}: the loss is not finite ({record}); scale the features or lower the learning rate"
        )
    return record
