"""The exceptions that callers may catch. Every message names the place, the value and the way out."""


class AdversarialError(Exception):
    """Base of all errors that this package raises on purpose; the command line prints it in one line."""

    exit_code = 1


class DataError(AdversarialError, ValueError):
    """Points, weights, labels or a feature table cannot be used as given."""


class SettingError(AdversarialError, ValueError):
    """A setting is unknown, malformed or contradicts another one."""


class SolverError(AdversarialError):
    """An exact solver stopped before it reached the optimum."""


class TrainingError(AdversarialError):
    """Training cannot go on: diverged, or the checkpoint belongs to something else."""


class ModelError(AdversarialError):
    """A saved model is missing, damaged or of a format that this version cannot read."""


class MissingExtraError(AdversarialError):
    """A command needs an optional dependency that is not installed."""
