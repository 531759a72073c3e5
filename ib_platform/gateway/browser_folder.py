"""The folder in which one browser keeps everything, and those that a killed process left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "ib_platform_login."
_UNFINISHED = "new_ib_platform_login."
_LOCK = "owner.lock"


class BrowserFolder:
    """A new folder (mode 0700) where temporary files go. Its owner holds a lock in it, which the
    end of the process gives back, however it ends."""

    def __init__(self) -> None:
        made = Path(tempfile.mkdtemp(prefix=_UNFINISHED))
        self._lock = os.open(made / _LOCK, os.O_CREAT | os.O_WRONLY, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Only now under the name that others look for: an owner that is not dead has its lock.
        self.path = made.rename(made.with_name(made.name.replace(_UNFINISHED, _PREFIX)))

    def remove(self) -> bool:
        """Delete it with all that is in it; False when something stays."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        return not self.path.exists()


def remove_abandoned() -> list[Path]:
    """Delete the folders of this user whose owner was killed; returns them.

    They may hold cookies of a login.
    """
    candidates = Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")
    return [folder for folder in candidates if _is_ours(folder) and _removed_if_abandoned(folder)]


def _is_ours(folder: Path) -> bool:
    try:
        return not folder.is_symlink() and folder.stat().st_uid == os.geteuid()
    except FileNotFoundError:
        return False


def _removed_if_abandoned(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_WRONLY)
    except OSError:
        # Not one of ours, or removed by its owner at this moment.
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
