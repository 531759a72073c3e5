"""SKELETON, signatures are final; the body follows.

Order of an app: Spool.open -> Loader(spool, ...).start() -> append... ->
append_event(RUN_STOPPED) -> loader.stop(deadline) -> spool.close().
"""

from __future__ import annotations

from ib_platform import config
from ib_platform.health import LoaderHealth
from ib_platform.streamer.spool import Spool


class Loader:
    def __init__(
        self, spool: Spool, settings: config.ClickHouse, limits: config.Limits
    ) -> None:
        """run_recovered events go into ``spool`` directly (append_event is thread-safe)."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self, deadline_seconds: float) -> bool:
        """Load what is in the spool until the deadline, then end the thread. True: all loaded.

        Blocking: call with asyncio.to_thread."""
        raise NotImplementedError

    def drain(self, deadline_seconds: float | None = None) -> bool:
        """Without the thread: load everything. True: all loaded."""
        raise NotImplementedError

    def health(self) -> LoaderHealth:
        raise NotImplementedError

    @property
    def stored(self) -> int:
        """Frames of the own run that ClickHouse acknowledged."""
        raise NotImplementedError

    @property
    def undecodable(self) -> dict[str, int]:
        """Stored frames of the own run that could not be decoded, by reason."""
        raise NotImplementedError
