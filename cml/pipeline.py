"""Where the parts are put together: from data sets to a finished run directory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cml.adapted import Adapted, adapted
from cml.artifact import write
from cml.catalogue import Catalogue
from cml.config import RunConfig
from cml.content import Content
from cml.data.dataset import Dataset
from cml.described import features_of, user_features_of
from cml.durable import replace_file
from cml.errors import ConfigError, TrainingError
from cml.evaluation.evaluate import HeldOut, evaluate
from cml.evaluation.metrics import METRICS
from cml.features.placing import Placer
from cml.training.checkpoint import Checkpoint
from cml.training.features import EncodedFeatures, ReadCatalogue, records
from cml.training.history import Epoch, as_csv
from cml.training.profiling import OFF, WRITING, Profile
from cml.training.search_space import given
from cml.training.space import Space
from cml.training.trainer import Fit, Validate, fit
from cml.training.tuning import Budget, Trial, Tuner, trials_as_csv

ARTIFACT = "artifact"
CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.csv"
TRIALS = "trials.csv"
ADAPTATION = "adaptation.json"
VALIDATION_USERS = 10_000  # ranked for after each epoch; more are sampled, evenly over the rows
VALIDATION_KS = (10, 20, 50)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: where it is, and what training said."""

    directory: Path
    config: RunConfig  # with what was left to the data decided
    fit: Fit  # with the choice of the epoch; after a refit, still the run that chose it
    seconds: float
    adapted: Adapted | None = None  # where there was a target catalogue


def train(
    run: Path,
    train_data: Dataset,
    config: RunConfig,
    *,
    valid: Dataset | None = None,
    refit_on: Dataset | None = None,
    catalogue: ReadCatalogue | None = None,
    target: ReadCatalogue | None = None,
    users: ReadCatalogue | None = None,
    start: Space | None = None,
    listen: Callable[[Epoch], None] = lambda _: None,
    resume: bool = False,
    auto: Budget | None = None,
    tell: Callable[[Trial], None] = lambda _: None,
    profile: Profile = OFF,
) -> TrainedRun:
    """Fit, choose the epoch on `valid`, refit on `refit_on` if given, and write RUN/artifact and RUN/history.csv.

    refit_on: training and validation pairs together; the model that is written then comes from as many epochs
    on all of them as were best on `valid`. catalogue: item metadata for a vocabulary. target: the metadata of
    another catalogue's items, those of the vocabulary left out; the placer is adapted to them, and
    RUN/adaptation.json says what came of it. users: what a user table says of a vocabulary's users. resume: go on
    from the checkpoint that an interrupted run left.
    auto: the time in which to choose settings that are not given, on `valid` as well; trials are written to
    RUN/trials.csv and `tell` hears of each. profile: told where the time goes. Raises ConfigError, DataError,
    TrainingError, ArtifactError.
    """
    started = time.perf_counter()
    _require_validation(valid, refit=refit_on is not None, auto=auto is not None)
    if auto is not None and (resume or start is not None):
        raise ConfigError("a search for settings begins at the beginning, with a start of its own")
    held = given(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    run.mkdir(parents=True, exist_ok=True)
    others = target(train_data.items) if target else None
    features = features_of(train_data, config, catalogue, others)
    user_features = user_features_of(train_data, config, users)
    checkpoint = Checkpoint(run / CHECKPOINT, _identity(train_data, valid, config, features, user_features))
    if not resume:
        checkpoint.remove()
    (run / TRIALS).unlink(missing_ok=True)
    validate = validation(train_data, valid, config) if valid is not None else None
    if auto is not None and validate is not None:
        tuner = Tuner(
            train_data,
            validate,
            auto,
            refit_on is not None,
            listen,
            _logged(run, tell),
            profile,
            features,
            user_features,
        )
        _, chosen = tuner.search(config, held)
    else:
        chosen = fit(
            train_data,
            config,
            start=start,
            validate=validate,
            listen=listen,
            save=checkpoint.save,
            resume=checkpoint.resume,
            profile=profile,
            features=features,
            user_features=user_features,
        )
    config = chosen.config
    final, learned_from = chosen, train_data
    if refit_on is not None:
        others = target(refit_on.items) if target else None
        features = features_of(refit_on, config, catalogue, others)
        user_features = user_features_of(refit_on, config, users)
        final = fit(
            refit_on,
            config,
            epochs=chosen.best_epoch,
            listen=listen,
            profile=profile,
            features=features,
            user_features=user_features,
        )
        learned_from = refit_on
    found = _adapted(learned_from, final.space, config, features, others)
    with profile.stage(WRITING):
        placer = found.placer if found else None
        made = content(
            learned_from, final.space, config, chosen.metrics, catalogue, features, placer, user_features
        )
        write(made, run / ARTIFACT)
    (run / ADAPTATION).unlink(missing_ok=True)
    if found:
        replace_file(run / ADAPTATION, json.dumps(found.as_dict(), indent=1).encode())
    replace_file(run / HISTORY, as_csv(chosen.history).encode())
    if chosen.stopped != "interrupted":
        checkpoint.remove()
    return TrainedRun(run, config, chosen, time.perf_counter() - started, found)


def _require_validation(valid: Dataset | None, *, refit: bool, auto: bool) -> None:
    if valid is None and refit:
        raise ConfigError("a refit repeats the number of epochs chosen on validation data, and there is none")
    if valid is None and auto:
        raise ConfigError("settings are tuned on validation data, and there is none")


def _logged(run: Path, tell: Callable[[Trial], None]) -> Callable[[Trial], None]:
    """Tells, and keeps RUN/trials.csv up to date: a killed search leaves what it found."""
    trials: list[Trial] = []

    def log(trial: Trial) -> None:
        trials.append(trial)
        replace_file(run / TRIALS, trials_as_csv(trials).encode())
        tell(trial)

    return log


def validation(train_data: Dataset, valid: Dataset, config: RunConfig) -> Validate:
    """What judges a space after each epoch: all unseen items ranked, for at most `VALIDATION_USERS` users."""
    name, _, k = config.train.metric.partition("@")
    if name not in METRICS or not k.isdigit() or int(k) < 1:
        raise ConfigError(
            f"train.metric = {config.train.metric!r}: expected one of {', '.join(METRICS)} followed by @k, "
            "for example ndcg@10"
        )
    held_out = HeldOut.of(valid, train_data.users, train_data.items, train_data.seen())
    if not len(held_out):
        raise TrainingError(
            "validation data hold no liked pair of a user from the training data; check that the files belong together"
        )
    if len(held_out) > VALIDATION_USERS:
        held_out = held_out.take(np.linspace(0, len(held_out) - 1, VALIDATION_USERS).astype(np.int64))
    ks = sorted({int(k), *VALIDATION_KS})

    def validate(space: Space) -> dict[str, float]:
        return evaluate(space.users, space.items, held_out, ks, threads=config.threads).metrics()

    return validate


def _adapted(
    data: Dataset,
    space: Space,
    config: RunConfig,
    features: EncodedFeatures | None,
    others: Catalogue | None,
) -> Adapted | None:
    if features is None or others is None:
        return None
    return adapted(features, space, data.positives(), features.encoder.encode(records(others)), config)


def content(
    data: Dataset,
    space: Space,
    config: RunConfig,
    metrics: Mapping[str, float],
    catalogue: ReadCatalogue | None = None,
    features: EncodedFeatures | None = None,
    placer: Placer | None = None,
    user_features: EncodedFeatures | None = None,
) -> Content:
    """What a version publishes of a trained space and the data that it was trained on.

    features: of the items of `data`, by which the version will place new items. placer: what does that, if it is
    not to be fitted to the space alone. user_features: of the users, by which it will place new users.
    """
    if placer is None and features is not None:
        placer = features.placer(space.items.numpy(), space.radius)
    return Content.from_pairs(
        users=data.users,
        items=data.items,
        user_vectors=space.users.numpy(),
        item_vectors=space.items.numpy(),
        user_rows=data.user_rows,
        item_rows=data.item_rows,
        liked=data.liked,
        timestamps=data.timestamps,
        config=config.model_dump(mode="json"),
        metrics=dict(metrics),
        data=_description(data),
        catalogue=catalogue(data.items) if catalogue else None,
        placer=placer,
        user_placer=user_features.placer(space.users.numpy(), space.radius) if user_features else None,
    )


def _description(data: Dataset) -> dict[str, Any]:
    times = data.timestamps[np.isfinite(data.timestamps)]
    return {
        "fingerprint": data.fingerprint(),
        "users": data.n_users,
        "items": data.n_items,
        "pairs": len(data),
        "liked": int(data.liked.sum()),
        "disliked": int(data.disliked.sum()),
        "first_time": float(times.min()) if len(times) else None,
        "last_time": float(times.max()) if len(times) else None,
    }


def _identity(
    train_data: Dataset, valid: Dataset | None, config: RunConfig, *described: EncodedFeatures | None
) -> str:
    parts = [
        train_data.fingerprint(),
        valid.fingerprint() if valid else "",
        json.dumps(config.model_dump(mode="json")),
        *(features.fingerprint() if features else "" for features in described),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
