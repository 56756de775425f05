"""Where somebody belongs of whom nothing is known but features: the version's own extractor says it."""

from __future__ import annotations

from collections.abc import Mapping

from cml.artifact import Artifact
from cml.errors import QueryError
from cml.features.values import unfit
from cml.fold_in import Prior

WEIGHT = 1.0  # where the config does not say what training took


def prior_of(artifact: Artifact, features: Mapping[str, object]) -> Prior | None:
    """The place that these values of a user's features give, as a prior of the weight that it had in training.

    None where the version knows none of the values: all are missing, or were not there in training. Raises
    QueryError for a version without features of users, a name that is none of them and a value that cannot be one.
    """
    placer = artifact.user_placer
    if placer is None:
        raise QueryError(
            "this version was trained without features of users; leave them out, or train one with: "
            "cml train --users FILE --user-features COLUMNS"
        )
    for name, value in features.items():
        if name not in placer.columns:
            raise QueryError(
                f"{name!r:.60} is no feature of users in this version, only {', '.join(placer.columns)}"
            )
        if reason := unfit(placer.encoder, name, value):
            raise QueryError(f"{name}: {reason}")
    placement = placer.place([features])
    if not placement.known[0]:
        return None
    weight = artifact.config.get("user_features", {}).get("weight", WEIGHT)
    return Prior(placement.vectors[0], float(weight))
