"""A multilayer perceptron from sparse rows onto points, fitted with torch and handed over as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding_bag

from cml.config import ExtractorConfig
from cml.features.extractor import Layer
from cml.training.losses import feature_loss

Array = NDArray[np.float32]
BATCH = 256  # items in a step


class Perceptron(nn.Module):
    """Rectified hidden layers over sparse rows; the weights lie as `Layer` keeps them, (inputs, outputs)."""

    def __init__(self, sizes: Sequence[int], bias: Array, generator: torch.Generator) -> None:
        super().__init__()
        scales = [(2 / inputs) ** 0.5 for inputs in sizes[:-1]]
        scales[0] = 1.0  # an encoded row has a length of about one, however many columns there are
        scales[-1] = 0.0  # starts at the bias: at the mean of the points
        self.weights = nn.ParameterList(
            torch.randn(inputs, outputs, generator=generator) * scale
            for (inputs, outputs), scale in zip(pairwise(sizes), scales, strict=True)
        )
        biases = [torch.zeros(outputs) for outputs in sizes[1:-1]]
        self.biases = nn.ParameterList([*biases, torch.from_numpy(bias.copy())])

    def forward(self, rows: csr_array, drop: float = 0.0) -> Tensor:
        """(rows, dim). drop: share of hidden units left out."""
        indices, starts, values = (
            torch.from_numpy(np.asarray(part)) for part in (rows.indices, rows.indptr[:-1], rows.data)
        )
        hidden = embedding_bag(
            indices.long(), self.weights[0], starts.long(), mode="sum", per_sample_weights=values
        )
        hidden = hidden + self.biases[0]
        for weight, bias in zip(list(self.weights)[1:], list(self.biases)[1:], strict=True):
            hidden = dropout(hidden.relu(), drop, training=drop > 0) @ weight + bias
        return hidden


def fit_perceptron(rows: csr_array, targets: Array, mean: Array, settings: ExtractorConfig) -> list[Layer]:
    """Minimise the mean feature loss [CML-3] plus `penalty / n` times the squared weights, by Adam.

    The same data give the same layers: the seed is fixed, and torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout, which takes no generator
        generator = torch.Generator().manual_seed(0)
        model = Perceptron([rows.shape[1], *settings.hidden, targets.shape[1]], mean, generator)
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.extractor_rate)
        points = torch.from_numpy(targets)
        for _ in range(settings.passes):
            for batch in torch.randperm(len(points), generator=generator).split(BATCH):
                placed = model(rows[batch.numpy()], settings.dropout)
                squares = torch.stack([weight.square().sum() for weight in model.weights]).sum()
                loss = feature_loss(placed, points[batch]).mean() + settings.penalty / len(points) * squares
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return [
        Layer(weight.detach().numpy(), bias.detach().numpy())
        for weight, bias in zip(model.weights, model.biases, strict=True)
    ]
