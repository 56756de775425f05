"""What the domain-adapted estimators share: settings, fitting, features, validation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from adversarial import saving
from adversarial.adaptation import AdaptedNetwork, LoopSettings, Record, TaskLoss, adapt
from adversarial.alignments import AlignmentSettings, make_alignment
from adversarial.errors import SettingError
from adversarial.networks import mlp
from adversarial.scaling import SCALES
from adversarial.settings import check_head, check_settings
from adversarial.sparse_rows import FeatureTable
from adversarial.validation import BestState, adaptation_bound, held_out_rows, proxy_a_distance

Features = Any
"""An (n, dim) array, or a SciPy sparse matrix, which is never made dense as a whole."""
_CHUNK = 2048


class DomainAdapter(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the classifier and the regressor share: everything but the head's targets.

    Parameters
    ----------
    method: "wdgrl", "dann", "coral", "mmd" or "source-only".
    hidden: widths of the extractor's layers, ReLU after each; the last one is the number of features.
    critic_hidden: widths of the critic's (or domain classifier's) hidden layers.
    weight: of the alignment beside the task's loss (lambda).
    penalty: of critic slopes other than 1 (gamma); WDGRL only.
    critic_steps: on each batch before the extractor's step; WDGRL only.
    steps, batch_size: how many steps, and rows of each domain in each.
    learning_rate, critic_learning_rate: of Adam for extractor and head, and for the critic.
    l2: half the squared norm of extractor and head weights costs this much.
    head: a module from features (batch, hidden[-1]) to outputs; a copy is trained. None: one linear layer.
    scale: "none" takes features as they are, "log" takes sign(x) log(1 + |x|), for word counts.
    validation_fraction: share of rows of both domains held out to pick the best state (see `validation`);
        0 trains on everything and keeps the last state.
    record_every: steps between two entries of `history_`, and two looks at the held-out rows.
    device: where `fit` works, for example "cuda"; the fitted estimator is on the CPU.
    random_state: int, RandomState or None.
    """

    def __init__(
        self,
        method: str = "wdgrl",
        *,
        hidden: Sequence[int] = (500,),
        critic_hidden: Sequence[int] = (100,),
        weight: float = 1.0,
        penalty: float = 10.0,
        critic_steps: int = 5,
        steps: int = 10_000,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        critic_learning_rate: float = 1e-4,
        l2: float = 1e-4,
        head: nn.Module | None = None,
        scale: str = "none",
        validation_fraction: float = 0.0,
        record_every: int = 100,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.hidden = hidden
        self.critic_hidden = critic_hidden
        self.weight = weight
        self.penalty = penalty
        self.critic_steps = critic_steps
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.critic_learning_rate = critic_learning_rate
        self.l2 = l2
        self.head = head
        self.scale = scale
        self.validation_fraction = validation_fraction
        self.record_every = record_every
        self.device = device
        self.random_state = random_state

    def fit(
        self, X: Features, y: Any, Xt: Features = None, *, observe: Callable[[Record], None] | None = None
    ) -> Self:
        """Learn from labelled source rows X, y and unlabelled target rows Xt.

        Without Xt there is nothing to adapt to and the method does not matter. `observe` sees each record of
        the history as it is made, with `network_` as it is then.
        """
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=self._several_outputs
        )
        check_settings(self)
        alone = Xt is None
        Xt = X if alone else validate_data(self, Xt, accept_sparse="csr", dtype=np.float32, reset=False)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        randomness = torch.Generator().manual_seed(seed)
        targets, outputs = self._learn_targets(y)
        head = self.head if self.head is not None else linear_head(self.hidden[-1], outputs, randomness)
        network = AdaptedNetwork(X.shape[1], self.hidden, copy.deepcopy(head), randomness=randomness)
        self.network_ = _placed(network, self.device)
        check_head(self.network_.head, int(self.hidden[-1]), outputs, self.device)
        self._n_features_out = self.hidden[-1]
        alignment = make_alignment(
            "source-only" if alone else self.method, self._alignment_settings(), self.hidden[-1], randomness
        )
        source, target = FeatureTable(SCALES[self.scale](X)), FeatureTable(SCALES[self.scale](Xt))
        judge = None
        if self.validation_fraction > 0:
            rng = np.random.default_rng(seed)
            source, targets, target, judge = self._hold_out(source, targets, target, rng)
        self.history_ = adapt(
            self.network_,
            alignment,
            self._task_loss(),
            source,
            targets,
            target,
            self._loop_settings(),
            randomness=randomness,
            observe=observe if judge is None else judge.before(observe),
        )
        if judge is not None:
            judge.restore()
            self.best_step_ = judge.best_step
        self.network_.cpu()
        self.n_iter_ = self.steps
        return self

    def transform(self, X: Features) -> np.ndarray:
        """The adapted features of rows from either domain, (n, hidden[-1]) float32."""
        return _stacked(self.network_.features(rows) for rows in self._chunks(X))

    def save(self, directory: Path | str, facts: dict[str, Any] | None = None) -> None:
        """Store the fitted estimator in a new directory; `load` reads it. See `saving.save`."""
        check_is_fitted(self, "network_")
        saving.save(self, Path(directory), facts or {})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    _several_outputs = False

    def _outputs(self, X: Features) -> np.ndarray:
        """What the head says about each row, (n, outputs)."""
        return _stacked(self.network_.head(self.network_.features(rows)) for rows in self._chunks(X))

    def _chunks(self, X: Features) -> Iterator[Any]:
        check_is_fitted(self, "network_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        table = FeatureTable(SCALES[self.scale](X))
        device = next(self.network_.parameters()).device  # not the CPU while `fit` shows its progress
        return (table.take(rows).to(device) for rows in torch.arange(len(table)).split(_CHUNK))

    def _alignment_settings(self) -> AlignmentSettings:
        return AlignmentSettings(
            weight=self.weight,
            penalty=self.penalty,
            critic_steps=int(self.critic_steps),
            critic_hidden=tuple(self.critic_hidden),
            critic_learning_rate=self.critic_learning_rate,
            device=self.device,
        )

    def _loop_settings(self) -> LoopSettings:
        return LoopSettings(
            steps=int(self.steps),
            batch_size=int(self.batch_size),
            learning_rate=self.learning_rate,
            l2=self.l2,
            record_every=int(self.record_every),
        )

    def _hold_out(
        self, source: FeatureTable, targets: Tensor, target: FeatureTable, rng: np.random.Generator
    ) -> tuple[FeatureTable, Tensor, FeatureTable, BestState]:
        """What is left to train on, and a judge that looks at the rest."""
        kept, held = held_out_rows(len(source), self.validation_fraction, rng)
        kept_t, held_t = held_out_rows(len(target), self.validation_fraction, rng)
        answers = targets[held].to(self.device)
        held_source, held_target = source.take(held).to(self.device), target.take(held_t).to(self.device)

        @torch.no_grad()
        def bound() -> float:
            features = self.network_.features(held_source)
            error = self._error(self.network_.head(features), answers)
            other = self.network_.features(held_target)
            distance = proxy_a_distance(features.cpu().numpy(), other.cpu().numpy(), np.random.default_rng(0))
            return adaptation_bound(error, distance)

        return source.only(kept), targets[kept], target.only(kept_t), BestState(self.network_, bound)

    def _learn_targets(self, y: Any) -> tuple[Tensor, int]:
        """What the head should give for each row, and how many outputs that takes."""
        raise NotImplementedError

    def _task_loss(self) -> TaskLoss:
        raise NotImplementedError

    def _error(self, outputs: Tensor, targets: Tensor) -> float:
        """The error on held-out rows, 0 at best and about 1 for a head that knows nothing."""
        raise NotImplementedError


def linear_head(features: int, outputs: int, randomness: torch.Generator) -> nn.Module:
    """The head that an estimator gets when none is given."""
    return mlp([features, outputs], randomness=randomness, bias=0.1)


def _placed(network: AdaptedNetwork, device: str) -> AdaptedNetwork:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingError(f"device = {device!r}: {reason}; choose cpu, or cuda with a GPU") from None


@torch.no_grad()
def _stacked(parts: Iterator[Tensor]) -> np.ndarray:
    return torch.cat(list(parts)).cpu().numpy()
