"""An extractor adapted to a second catalogue: its places hold for the source and cannot be told from the target's.

The source's items have interactions, hence places; the target's have features alone. Training begins with the
extractor that the source taught and goes on with [WDGRL-4], the feature loss [CML-3] as its task. The target's items
may move as far as the users' lists of them stay what they were [ADAPT-1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cml.errors import TrainingError
from cml.features.encoding import SparseRows
from cml.features.extractor import Extractor, Layer


class Alignment(Protocol):
    """What draws two domains together. It sees batches of features (batch, dim), never a label or an item."""

    def learn(self, source: Tensor, target: Tensor) -> None:
        """Sharpen the measure on features that carry no gradient; both batches of equal size."""

    def loss(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """A weighted scalar for the extractor to lower. progress: share of training done, in [0, 1)."""


@dataclass(frozen=True)
class AdaptationSettings:
    """How long, how fast, and what holds the extractor back.

    learning_rate: in typical components of a source place, at the start; it falls to zero.
    shrinkage: a squared weight costs this much beside a source item's squared error, divided by the number of
    source items, as in a ridge regression. keep: what it costs to change how users judge the target's items.
    users: drawn for that in each step.
    """

    steps: int = 300
    batch_size: int = 128
    learning_rate: float = 0.004
    shrinkage: float = 1.0
    keep: float = 300.0
    users: int = 256
    record_every: int = 50


Record = dict[str, float]
"""A step with the means of its losses: `step`, `task`, `alignment`, `kept`."""


def adapt(
    start: Extractor,
    source: SparseRows,
    places: NDArray[np.float32],
    target: SparseRows,
    users: NDArray[np.float32],
    alignment: Alignment,
    settings: AdaptationSettings,
    *,
    randomness: torch.Generator,
) -> tuple[Extractor, list[Record]]:
    """The adapted extractor, and what its training said every `record_every` steps and at the end.

    start: fitted on the source; its length and radius are kept. source: encoded items with `places` (n, dim);
    target: encoded items without. Both by the same encoder, without empty rows. users: (n_users, dim) vectors of
    those who taught the source. The same generator state gives the same extractor. Raises TrainingError with
    fewer than 2 items on a side, and when a loss is not finite.
    """
    _check(source, places, target)
    network = TrainedExtractor(start)
    wanted, before = torch.from_numpy(np.ascontiguousarray(places)), torch.from_numpy(start(target))
    judges = torch.from_numpy(np.ascontiguousarray(users))
    scale = wanted.square().sum(1).mean()
    component = (scale / wanted.shape[1]).sqrt().item()
    rate = settings.learning_rate * component
    optimiser = torch.optim.Adam(network.parameters, lr=rate)
    batch = min(settings.batch_size, len(source), len(target))
    draws = zip(
        _batches(len(source), batch, randomness), _batches(len(target), batch, randomness), strict=True
    )
    history: list[Record] = []
    for step, (of_source, of_target) in enumerate(islice(draws, settings.steps), start=1):
        raw_source, raw_target = network(source, of_source), network(target, of_target)
        on_source, on_target = network.bounded(raw_source), network.bounded(raw_target)
        some = judges[torch.randint(len(judges), (settings.users,), generator=randomness)]
        features = on_source / component, on_target / component  # that vary by about 1
        alignment.learn(*(rows.detach() for rows in features))
        losses = {
            "task": (raw_source - wanted[of_source]).square().sum(1).mean() / scale
            + settings.shrinkage / len(source) * network.squares() / scale,
            "alignment": alignment.loss(*features, (step - 1) / settings.steps),
            "kept": settings.keep * changed_lists(on_target, before[of_target], some).mean(),
        }
        for (
            group
        ) in optimiser.param_groups:  # ever smaller steps: a critic chased at full speed is never caught
            group["lr"] = rate * (1 - (step - 1) / settings.steps)
        optimiser.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        optimiser.step()
        if step % settings.record_every == 0 or step == settings.steps:
            history.append(_record(step, losses))
    return network.extractor(), history


def changed_lists(places: Tensor, before: Tensor, users: Tensor) -> Tensor:
    """[ADAPT-1] 1 - the correlation of each user's scores for the rows, now and before, in [0, 2].

    places, before: (n, dim), n at least 2. users: (m, dim). Returns (m,). What lifts all scores of a user, or
    spreads them, costs nothing; nor does anything for a user whose scores are all the same, now and before.
    """
    change = _standardised(users @ places.T) - _standardised(users @ before.T)
    return change.square().sum(1) / 2


class TrainedExtractor:
    """The layers of an `Extractor` as torch parameters, with the same forward pass."""

    def __init__(self, start: Extractor) -> None:
        self.length, self.radius = start.length, start.radius
        self.weights = [_parameter(layer.weight) for layer in start.layers]
        self.biases = [_parameter(layer.bias) for layer in start.layers]

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    def __call__(self, rows: SparseRows, chosen: Tensor) -> Tensor:
        """(len(chosen), dim): the last layer's output for some rows, before length and ball."""
        hidden = _first_layer(rows, chosen.numpy(), self.weights[0]) + self.biases[0]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            hidden = torch.relu(hidden) @ weight + bias
        return hidden

    def bounded(self, raw: Tensor) -> Tensor:
        """Rows at the extractor's length, drawn into its ball [CML-5]."""
        lengths = raw.norm(dim=1, keepdim=True)
        if self.length is not None:
            return raw * (min(self.length, self.radius or self.length) / lengths.clamp(min=1e-12))
        return raw if self.radius is None else raw * (self.radius / lengths.clamp(min=self.radius))

    def squares(self) -> Tensor:
        """The sum of all squared weights, biases left out."""
        return torch.stack([weight.square().sum() for weight in self.weights]).sum()

    def extractor(self) -> Extractor:
        """What was learned, in numpy."""
        layers = [
            Layer(weight.detach().numpy().copy(), bias.detach().numpy().copy())
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        return Extractor(layers, radius=self.radius, length=self.length)


def _first_layer(rows: SparseRows, chosen: NDArray[np.int64], weight: Tensor) -> Tensor:
    """Sparse rows times the first layer's weight, with its gradient: (len(chosen), outputs)."""
    lengths = rows.indptr[chosen + 1] - rows.indptr[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    where = np.repeat(rows.indptr[chosen] - offsets, lengths) + np.arange(lengths.sum())
    return torch.nn.functional.embedding_bag(
        torch.from_numpy(rows.indices[where]),
        weight,
        torch.from_numpy(offsets),
        mode="sum",
        per_sample_weights=torch.from_numpy(rows.values[where]),
    )


def _parameter(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32)).requires_grad_()


def _standardised(scores: Tensor) -> Tensor:
    """Each row with mean 0 and length 1, so that the product of two rows is their correlation."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _batches(count: int, batch: int, randomness: torch.Generator) -> Iterator[Tensor]:
    """Rows in random order, `batch` at a time, shuffled anew when fewer than that are left."""
    while True:
        yield from torch.randperm(count, generator=randomness)[: count - count % batch].split(batch)


def _record(step: int, losses: dict[str, Tensor]) -> Record:
    record = {"step": float(step)} | {name: loss.item() for name, loss in losses.items()}
    if not all(np.isfinite(value) for value in record.values()):
        raise TrainingError(
            f"step {step}: a loss of the adaptation is not finite ({record}); lower its weight"
        )
    return record


def _check(source: SparseRows, places: Sized, target: SparseRows) -> None:
    for name, rows in (("source", source), ("target", target)):
        if len(rows) < 2:
            raise TrainingError(
                f"the {name} has {len(rows)} items with features; adaptation needs at least 2"
            )
    if len(source) != len(places):
        raise TrainingError(f"{len(source)} source items have {len(places)} places; give one for each")
