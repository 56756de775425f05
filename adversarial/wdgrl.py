"""Domain-adapted features as scikit-learn estimators: WDGRL, and DANN, CORAL, MMD, source-only beside it.

The defaults are the settings that the authors of WDGRL published for bags of word counts [WDGRL-4]; they
are the same for every pair of domains.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from adversarial import checkpoints, objectives, saving
from adversarial.adaptation import AdaptedNetwork, LoopSettings, Record, TaskLoss, adapt
from adversarial.alignments import AlignmentSettings, make_alignment
from adversarial.errors import ModelError, SettingError
from adversarial.networks import mlp
from adversarial.scaling import SCALES
from adversarial.sparse_rows import FeatureTable
from adversarial.validation import BestState, adaptation_bound, held_out_rows, proxy_a_distance

Features = Any
"""An (n, dim) array, or a SciPy sparse matrix, which is never made dense as a whole."""
_CHUNK = 2048


class _DomainAdapter(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        _check_settings(self)
        alone = Xt is None
        Xt = X if alone else validate_data(self, Xt, accept_sparse="csr", dtype=np.float32, reset=False)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        randomness = torch.Generator().manual_seed(seed)
        targets, outputs = self._learn_targets(y)
        head = self.head if self.head is not None else _linear_head(self.hidden[-1], outputs, randomness)
        self.network_ = AdaptedNetwork(X.shape[1], self.hidden, copy.deepcopy(head), randomness=randomness)
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
        return (table.take(rows) for rows in torch.arange(len(table)).split(_CHUNK))

    def _alignment_settings(self) -> AlignmentSettings:
        return AlignmentSettings(
            weight=self.weight,
            penalty=self.penalty,
            critic_steps=self.critic_steps,
            critic_hidden=tuple(self.critic_hidden),
            critic_learning_rate=self.critic_learning_rate,
        )

    def _loop_settings(self) -> LoopSettings:
        return LoopSettings(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            l2=self.l2,
            record_every=self.record_every,
        )

    def _hold_out(
        self, source: FeatureTable, targets: Tensor, target: FeatureTable, rng: np.random.Generator
    ) -> tuple[FeatureTable, Tensor, FeatureTable, BestState]:
        """What is left to train on, and a judge that looks at the rest."""
        kept, held = held_out_rows(len(source), self.validation_fraction, rng)
        kept_t, held_t = held_out_rows(len(target), self.validation_fraction, rng)
        answers, held_source, held_target = targets[held], source.take(held), target.take(held_t)

        @torch.no_grad()
        def bound() -> float:
            features = self.network_.features(held_source)
            error = self._error(self.network_.head(features), answers)
            other = self.network_.features(held_target)
            distance = proxy_a_distance(features.numpy(), other.numpy(), np.random.default_rng(0))
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


class DomainAdaptedClassifier(ClassifierMixin, _DomainAdapter):
    __doc__ = "Classifies target rows with labels of the source only.\n" + (_DomainAdapter.__doc__ or "")

    def predict(self, X: Features) -> np.ndarray:
        """The most probable class of each row."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: Features) -> np.ndarray:
        """The probability of each class, (n, classes) float64, columns in the order of `classes_`."""
        outputs = torch.from_numpy(self._outputs(X)).double()
        return outputs.softmax(dim=1).numpy()

    def _learn_targets(self, y: Any) -> tuple[Tensor, int]:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise SettingError("the source labels hold only one class; a classifier needs at least two")
        return torch.from_numpy(codes.astype(np.int64)), len(self.classes_)

    def _task_loss(self) -> TaskLoss:
        return objectives.classification_loss

    def _error(self, outputs: Tensor, targets: Tensor) -> float:
        return float((outputs.argmax(dim=1) != targets).double().mean())


class DomainAdaptedRegressor(MultiOutputMixin, RegressorMixin, _DomainAdapter):
    __doc__ = (
        "Predicts numbers, or points [CML-3], for target rows with answers of the source only.\n\n"
        "    Targets are centred, and divided by one common spread, while training.\n"
        + (_DomainAdapter.__doc__ or "")
    )

    _several_outputs = True

    def predict(self, X: Features) -> np.ndarray:
        """The answer for each row: (n,) or (n, outputs), as y was given."""
        answers = self._outputs(X) * self.target_spread_ + self.target_centre_
        return answers[:, 0] if self.flat_targets_ else answers

    def _learn_targets(self, y: Any) -> tuple[Tensor, int]:
        y = np.asarray(y, dtype=np.float64)
        self.flat_targets_ = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.target_centre_ = y.mean(axis=0)
        centred = y - self.target_centre_
        self.target_spread_ = float(np.sqrt(np.square(centred).mean())) or 1.0
        return torch.from_numpy((centred / self.target_spread_).astype(np.float32)), y.shape[1]

    def _task_loss(self) -> TaskLoss:
        return objectives.feature_loss

    def _error(self, outputs: Tensor, targets: Tensor) -> float:
        residual = (outputs - targets).square().sum()
        total = (targets - targets.mean(dim=0)).square().sum()
        return float(residual / total.clamp(min=1e-12))


def load(directory: Path | str, head: nn.Module | None = None) -> _DomainAdapter:
    """The estimator that `save` stored. Models with a head of their own need a module of that shape again.

    Raises ModelError when the directory is missing, damaged, of another format, or the head does not fit.
    """
    manifest, tensors = saving.read(Path(directory))
    if manifest["custom_head"] and head is None:
        raise ModelError(f"{directory}: trained with a head of its own; pass it as load(..., head=module)")
    kind = DomainAdaptedClassifier if manifest["kind"] == "classifier" else DomainAdaptedRegressor
    estimator = kind(**saving.parameters(manifest), head=head)
    randomness = torch.Generator().manual_seed(0)
    top = head if head is not None else _linear_head(estimator.hidden[-1], manifest["outputs"], randomness)
    estimator.network_ = AdaptedNetwork(
        manifest["n_features_in"], estimator.hidden, copy.deepcopy(top), randomness=randomness
    )
    checkpoints.load_module("network", estimator.network_, tensors)
    saving.restore(estimator, manifest)
    return estimator


def _linear_head(features: int, outputs: int, randomness: torch.Generator) -> nn.Module:
    return mlp([features, outputs], randomness=randomness, bias=0.1)


def _check_settings(estimator: _DomainAdapter) -> None:
    if not 0 <= estimator.validation_fraction < 1:
        raise SettingError(
            f"validation_fraction is {estimator.validation_fraction}; give 0 or a share below 1"
        )
    for name in ("steps", "batch_size", "record_every"):
        if getattr(estimator, name) < 1:
            raise SettingError(f"{name} is {getattr(estimator, name)}; it has to be at least 1")
    if estimator.scale not in SCALES:
        raise SettingError(f"no scale named {estimator.scale!r}; there are {', '.join(SCALES)}")
    if not estimator.hidden:
        raise SettingError("hidden is empty; the extractor needs at least one layer")


@torch.no_grad()
def _stacked(parts: Iterator[Tensor]) -> np.ndarray:
    return torch.cat(list(parts)).numpy()
