"""One builder of a trade date at a time: a file lock below ``runtime.state_dir``.

It ends with its process, however that ends. Builders on other machines do not see it; what keeps
those apart is in ``build.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import filelock

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError, PlatformInUseError

LONGEST_WAIT = 3600.0
"""Seconds: longer than any build of one date, shorter than a run of Dagster may take."""


@contextmanager
def date_lock(
    config: PlatformConfig, trade_date: date, timeout: float = LONGEST_WAIT
) -> Iterator[None]:
    """Hold the lock of a date; waits up to ``timeout`` seconds for another builder, be it a process
    or a thread.

    Raises:
        PlatformInUseError: another one held it all that time.
        ConfigurationError: the folder cannot be written.
    """
    folder = config.runtime.state_dir / "builds"
    file = folder / f"{config.clickhouse.database}-{trade_date}.lock"
    lock = filelock.FileLock(file, timeout=timeout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise PlatformInUseError(
            f"trade date {trade_date} is being built by another process for more than "
            f"{timeout:g} s (lock {file}). Try again when it has ended."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be locked ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()
