"""Domain-adapted features as scikit-learn estimators: WDGRL, and DANN, CORAL, MMD, source-only beside it.

The defaults are the settings that the authors of WDGRL published for bags of word counts [WDGRL-4]; they
are the same for every pair of domains.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor, nn

from adversarial import checkpoints, objectives, saving
from adversarial.adaptation import AdaptedNetwork, TaskLoss
from adversarial.adapter import DomainAdapter, Features, linear_head
from adversarial.errors import ModelError, SettingError


class DomainAdaptedClassifier(ClassifierMixin, DomainAdapter):
    __doc__ = "Classifies target rows with labels of the source only.\n" + (DomainAdapter.__doc__ or "")

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


class DomainAdaptedRegressor(MultiOutputMixin, RegressorMixin, DomainAdapter):
    __doc__ = (
        "Predicts numbers, or points [CML-3], for target rows with answers of the source only.\n\n"
        "    Targets are centred, and divided by one common spread, while training.\n"
        + (DomainAdapter.__doc__ or "")
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


def load(directory: Path | str, head: nn.Module | None = None) -> DomainAdapter:
    """The estimator that `save` stored. Models with a head of their own need a module of that shape again.

    Raises ModelError when the directory is missing, damaged, of another format, or the head does not fit.
    """
    manifest, tensors = saving.read(Path(directory))
    if manifest["custom_head"] and head is None:
        raise ModelError(f"{directory}: trained with a head of its own; pass it as load(..., head=module)")
    kind = DomainAdaptedClassifier if manifest["kind"] == "classifier" else DomainAdaptedRegressor
    estimator = kind(**saving.parameters(manifest), head=head)
    randomness = torch.Generator().manual_seed(0)
    top = head if head is not None else linear_head(estimator.hidden[-1], manifest["outputs"], randomness)
    estimator.network_ = AdaptedNetwork(
        manifest["n_features_in"], estimator.hidden, copy.deepcopy(top), randomness=randomness
    )
    checkpoints.load_module("network", estimator.network_, tensors)
    estimator.network_.eval()
    saving.restore(estimator, manifest)
    return estimator
