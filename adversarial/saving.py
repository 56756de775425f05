"""Fitted estimators on disk: a manifest in JSON and weights in safetensors. Nothing is executed when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from adversarial import checkpoints
from adversarial.errors import ModelError

if TYPE_CHECKING:
    from adversarial.adapter import DomainAdapter

FORMAT = 1
_MANIFEST, _WEIGHTS = "manifest.json", "weights.safetensors"


def save(estimator: DomainAdapter, directory: Path, facts: dict[str, Any]) -> None:
    """Write a model directory: aside first, then renamed into place, so that it is complete or absent.

    facts: JSON-able notes of the caller, returned by `facts_of`. A head of your own is stored as weights
    only. Raises ModelError when the directory exists.
    """
    if directory.exists():
        raise ModelError(f"{directory} exists; choose another directory or remove this one")
    aside = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    checkpoints.write(aside / _WEIGHTS, checkpoints.module_tensors("network", estimator.network_), {})
    manifest = _describe(estimator) | {"facts": facts, "sha256": _sha256(aside / _WEIGHTS)}
    checkpoints.replace_file(aside / _MANIFEST, json.dumps(manifest, indent=2).encode())
    aside.rename(directory)
    _flush_directory(directory.parent)


def read(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The manifest and the weights that `save` wrote, checked against each other.

    Raises ModelError when the directory is missing, damaged or of another format.
    """
    manifest = _read_manifest(directory)
    tensors, _ = checkpoints.read(directory / _WEIGHTS)
    return manifest, tensors


def parameters(manifest: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments as they were, head apart; JSON has made lists of the tuples."""
    stored = manifest["parameters"]
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def restore(estimator: Any, manifest: dict[str, Any]) -> None:
    """Give an estimator the attributes that `fit` would have left, the network apart."""
    estimator.n_features_in_ = manifest["n_features_in"]
    if manifest["feature_names"] is not None:
        estimator.feature_names_in_ = np.array(manifest["feature_names"], dtype=object)
    estimator.history_ = manifest["history"]
    estimator.n_iter_ = estimator.steps
    if estimator.validation_fraction > 0:
        estimator.best_step_ = int(min(estimator.history_, key=lambda record: record["bound"])["step"])
    estimator._n_features_out = estimator.hidden[-1]
    if "classes" in manifest:
        kind = np.dtype(object if manifest["class_type"] == "|O" else manifest["class_type"])
        estimator.classes_ = np.array(manifest["classes"], dtype=kind)
        return
    estimator.target_centre_ = np.array(manifest["target_centre"])
    estimator.target_spread_ = manifest["target_spread"]
    estimator.flat_targets_ = manifest["flat_targets"]


def facts_of(directory: Path | str) -> dict[str, Any]:
    """What the caller of `save` noted. Raises ModelError as `read` does."""
    return _read_manifest(Path(directory))["facts"]


def _describe(estimator: Any) -> dict[str, Any]:
    parameters = {name: value for name, value in estimator.get_params(deep=False).items() if name != "head"}
    if not isinstance(parameters["random_state"], Integral):
        parameters["random_state"] = None
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "kind": "classifier" if hasattr(estimator, "classes_") else "regressor",
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "custom_head": estimator.head is not None,
        "n_features_in": int(estimator.n_features_in_),
        "feature_names": None if names is None else [str(name) for name in names],
        "history": estimator.history_,
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        **_answers(estimator),
    }


def _plain(value: Any) -> Any:
    """A setting as JSON knows it: searches over settings hand in NumPy's numbers."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, torch.device) else value


def _answers(estimator: Any) -> dict[str, Any]:
    """What the head's outputs mean."""
    if hasattr(estimator, "classes_"):
        classes = estimator.classes_
        return {"outputs": len(classes), "classes": classes.tolist(), "class_type": classes.dtype.str}
    return {
        "outputs": len(estimator.target_centre_),
        "target_centre": estimator.target_centre_.tolist(),
        "target_spread": estimator.target_spread_,
        "flat_targets": estimator.flat_targets_,
    }


def _read_manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((directory / _MANIFEST).read_bytes())
        format_, stated = manifest["format"], manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{directory}: no readable {_MANIFEST} ({error}); not a saved model, or damaged"
        ) from error
    if format_ != FORMAT:
        raise ModelError(f"{directory}: format {format_}, this version reads {FORMAT}; save it again")
    if not (directory / _WEIGHTS).is_file() or _sha256(directory / _WEIGHTS) != stated:
        raise ModelError(f"{directory / _WEIGHTS}: missing or damaged, its checksum is not the manifest's")
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flush_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
