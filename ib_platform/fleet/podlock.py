"""The lock of one pod, held by whoever launches, restarts, retires or stops it.

The file lock itself decides; a note beside it says who holds it, for messages and observations.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import filelock

from ib_platform.errors import PlatformInUseError
from ib_platform.fleet import processes
from ib_platform.paths import PodPaths


class PodLock:
    """Context manager. Waits ``timeout`` seconds for another holder.

    Raises:
        PlatformInUseError: another process held it all that time; the message names it.
    """

    def __init__(self, paths: PodPaths, doing: str, timeout: float) -> None:
        self._paths = paths
        self._doing = doing
        self._timeout = timeout
        self._lock = filelock.FileLock(paths.lock, timeout=timeout)

    @property
    def _note(self) -> Path:
        return self._paths.folder / "pod.lock.holder"

    def holder(self) -> str | None:
        """Who holds the lock now, or None. Never waits and never takes the lock."""
        record = processes.read_record(self._note)
        if record is None or processes.find(record) is None:
            return None
        return f"pid {record.pid} ({record.mark})"

    def __enter__(self) -> PodLock:
        self._paths.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise PlatformInUseError(
                f"pod {self._paths.paper_user} is being acted on by "
                f"{self.holder() or 'another process'} for more than {self._timeout:g} s "
                f"(lock {self._paths.lock}); try again when it has ended"
            ) from error
        processes.write_record(self._note, processes.record_of_self(self._doing))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._note.unlink(missing_ok=True)
        self._lock.release()
