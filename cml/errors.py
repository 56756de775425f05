"""The exceptions that callers may catch. Every message names the place, the value and the way out."""


class CmlError(Exception):
    """Base of all errors that this project raises on purpose; the command line prints it in one line."""

    exit_code = 1


class ConfigError(CmlError):
    """A setting is unknown, malformed or contradicts another one."""


class DataError(CmlError):
    """Input data cannot be used as given."""


class VocabularyError(CmlError):
    """An id is unknown, repeated or not a string."""


class ArtifactError(CmlError):
    """A run or a published version is missing, incomplete, damaged or of a format we cannot read."""


class RegistryError(CmlError):
    """The model registry cannot do what was asked: no such version, locked, not a registry."""


class StorageError(RegistryError):
    """Where a registry's versions lie did not do what was asked: unreachable, refused, full."""


class TrainingError(CmlError):
    """Training cannot go on: diverged, nothing to learn from, or an unusable checkpoint."""


class NothingLearnedError(TrainingError):
    """Training was interrupted before there was a model to keep."""


class QueryError(CmlError):
    """A request for a list cannot be understood: unknown column, malformed condition, impossible length."""


class MissingExtraError(CmlError):
    """A command needs an optional dependency that is not installed."""


class EventStoreError(CmlError):
    """The event store cannot be opened, migrated, read or written."""


class QualityGateError(CmlError):
    """The candidate is not good enough to publish; nothing was changed."""

    exit_code = 3


class LockedError(CmlError):
    """Another process is doing this already; nothing was changed."""

    exit_code = 4


class StoppedError(CmlError):
    """Stopped from outside before the end; the same command goes on from there."""

    exit_code = 5
