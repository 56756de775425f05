"""Features of a data set's items and users: which the configuration names, read from tables and files, encoded."""

from __future__ import annotations

from functools import partial

from cml.catalogue import Catalogue
from cml.config import RunConfig
from cml.data.dataset import Dataset
from cml.data.matrices import read_matrices
from cml.errors import ConfigError
from cml.features.given import NOTHING_TOLD, Told
from cml.training.features import EncodedFeatures, ReadCatalogue


def features_of(
    data: Dataset,
    config: RunConfig,
    catalogue: ReadCatalogue | None,
    others: Catalogue | None = None,
    told: Told = NOTHING_TOLD,
) -> EncodedFeatures | None:
    """The features of a data set's items; None where the configuration names none. Raises ConfigError, DataError.

    others: a target catalogue, whose terms are learned as well. told: what no table and no file says of the items.
    """
    settings = config.features
    if others is not None and (settings.matrices or not settings.columns):
        raise ConfigError(
            "a target catalogue is placed by columns of its item table alone; name them with --features, and leave "
            "feature matrices out"
        )
    if not (settings.columns or settings.matrices):
        return None
    if catalogue is None and settings.columns:
        raise ConfigError(
            f"features.columns = {list(config.features.columns)}: columns of an item table, and there is none; "
            "give one with --items, or leave the features out"
        )
    known = catalogue(data.items) if catalogue else Catalogue.empty(len(data.items))
    matrices = read_matrices(settings.matrices, data.items)
    return EncodedFeatures.of(known, settings, matrices, others, partial(told.completed, items=data.items))


def user_features_of(data: Dataset, config: RunConfig, users: ReadCatalogue | None) -> EncodedFeatures | None:
    """The features of a data set's users; None where the configuration names none.

    users: what a user table says, for a vocabulary. Raises ConfigError, DataError.
    """
    settings = config.user_features
    if not (settings.columns or settings.matrices):
        return None
    if users is None and settings.columns:
        raise ConfigError(
            f"user_features.columns = {list(settings.columns)}: columns of a user table, and there is none; "
            "give one with --users (a version holds no user's values, so retraining needs it again), or leave the "
            "user features out with --set user_features.columns=[]"
        )
    known = users(data.users) if users else Catalogue.empty(data.n_users)
    matrices = read_matrices(settings.matrices, data.users, "user")
    return EncodedFeatures.of(known, settings, matrices, what="user")
