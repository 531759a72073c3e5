"""The one exception hierarchy of the platform.

Every error says what is wrong, where, and what to do about it. ``PlatformError.exit_code`` is the
exit code of the command that fails with it.
"""

from __future__ import annotations


class PlatformError(Exception):
    """Base class: a message that a person can act on, without secrets."""

    exit_code = 1


class ConfigurationError(PlatformError):
    """The configuration file or the environment is wrong; nothing was started."""

    exit_code = 2


class SelectionError(ConfigurationError):
    """What was asked for does not exist: a contract, bar size, column, span. Nothing was read."""


class NothingRecordedError(SelectionError):
    """A contract that exists has nothing in the span that was asked for."""


class PlatformInUseError(PlatformError):
    """A port, a folder or a paper user is already taken by another process."""

    exit_code = 3


class MissingDependencyError(PlatformError):
    """An optional part (a Python extra or a Debian package) is not installed."""

    exit_code = 4


class MigrationError(PlatformError):
    """The database schema and the migration files disagree."""

    exit_code = 5


class GatewayError(PlatformError):
    """The gateway did not answer, or answered something that cannot be used."""

    exit_code = 6


class LiveAccountError(PlatformError):
    """The login is not provably a paper login. Never retried."""

    exit_code = 7


class WarehouseError(PlatformError):
    """ClickHouse did not answer, or refused a statement."""

    exit_code = 8


class SpoolError(PlatformError):
    """The spool folder cannot be used: locked, foreign, newer, or not writable."""

    exit_code = 9


class VerificationError(PlatformError):
    """The record lacks, repeats or falsifies frames, and no recorded cause explains it."""

    exit_code = 10


class RebuildError(PlatformError):
    """Some trade dates were not rebuilt; they keep their old rows, the others are done."""

    exit_code = 11
