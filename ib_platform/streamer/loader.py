"""The loader: a thread that brings the spool into ClickHouse, each record exactly once.

``Backlog`` says what comes next and keeps the manifest, ``Sender`` repeats one part until it is
acknowledged; this is the loop around them. ClickHouse may be away for as long as it likes: the
spool grows and nothing else happens. Order of a streamer::

    spool = Spool.open(...)
    loader = Loader(spool, settings, limits)
    loader.start()
    ...                                     # append frames and events
    spool.append_event(StreamEventKind.RUN_STOPPED)
    drained = loader.stop(deadline)         # blocking: in a thread
    spool.close()
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from ib_platform import config
from ib_platform.errors import PlatformError
from ib_platform.health import LoaderHealth
from ib_platform.streamer.batch_loading import BatchLoading
from ib_platform.streamer.insert_observer import InsertObserver
from ib_platform.streamer.quarantined import waiting
from ib_platform.streamer.sender import BLOCKED_DELAY, Sender
from ib_platform.streamer.spool import Spool

logger = logging.getLogger(__name__)
_LAST_MOMENT = 1.0


class Loader:
    """Loads earlier runs of the paper user first, then tails the run of ``spool``.

    When an earlier run ended without RUN_STOPPED, an event RUN_RECOVERED goes into ``spool``
    (detail: run_id, frames, next_seq, torn_bytes), once per run over all crashes. Segments leave
    the spool when everything in them is acknowledged. A batch that ClickHouse refuses for its
    content goes into the quarantine, the rest goes on. Any thread may call the public methods.
    """

    def __init__(
        self,
        spool: Spool,
        settings: config.ClickHouse,
        limits: config.Limits,
        *,
        rng: random.Random | None = None,
        pause: Callable[[float], None] | None = None,
        observer: InsertObserver | None = None,
    ) -> None:
        """``rng`` and ``pause`` (seconds) are those of the retries. ``observer`` is told of every
        insert, in the loader's thread. ``progress`` says how far loading is."""
        self._spool = spool
        self._limits = limits
        self._wake = threading.Event()
        self._pause = pause or self._wait
        self._sender = Sender(settings, self._pause, rng or random.Random(), observer)
        self.progress = BatchLoading(spool, self._sender, limits.load_rows, self._may_go_on)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._abandoned = False
        self._drained = False
        self._spool_error: str | None = None

    def start(self) -> None:
        """Begin to load, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def stop(self, deadline_seconds: float) -> bool:
        """Load what is in the spool now, then end. True: all of it was acknowledged in time.

        Otherwise the rest stays in the spool for the next run. Blocks up to about the deadline.
        """
        thread = self._thread
        if thread is None:
            return False
        self._stopping = True
        self._wake.set()
        last_moment = min(_LAST_MOMENT, deadline_seconds / 4)
        thread.join(deadline_seconds - last_moment)
        if thread.is_alive():
            self._abandoned = True
            self._wake.set()
            thread.join(last_moment)
        return self._drained

    def drain(self, deadline_seconds: float | None = None) -> bool:
        """Without a thread: load everything that is in the spool, then return True.

        False when the deadline came first. Errors of ClickHouse are retried until then.

        Raises:
            SpoolError: the spool or its manifest cannot be used.
        """
        timer = threading.Timer(deadline_seconds or 0, self._abandon)
        timer.daemon = True
        if deadline_seconds is not None:
            timer.start()
        try:
            while not self._abandoned and self.progress.step() is not None:
                pass
        finally:
            timer.cancel()
            self._sender.close()
        return not self._abandoned

    def health(self) -> LoaderHealth:
        """What ``/status`` shows; see ``LoaderHealth``."""
        pending = self.progress.pending_bytes()
        oldest = self.progress.oldest
        if oldest is None and pending:
            # Not looked at yet: at most as old as the last moment when there was nothing.
            oldest = self.progress.caught_up
        state = self._sender.state
        if self._spool_error is not None:
            state = "blocked"
        elif state == "loading" and self.progress.oldest is None:
            state = "idle"
        refused = waiting(self._spool.folder)
        return LoaderHealth(
            state=state,
            last_error=self._spool_error or self._sender.last_error,
            lag_seconds=None if oldest is None else oldest.seconds_ago(self._spool.clocks),
            pending_bytes=pending,
            recovered_frames=self.progress.recovered.total(),
            quarantined_batches=refused.batches,
            quarantined_since=refused.since,
            quarantined_error=refused.error,
        )

    def _run(self) -> None:
        while not self._abandoned:
            began = time.monotonic()
            try:
                loading = self.progress.step()
                self._spool_error = None
            except Exception as error:
                # The thread's boundary: whatever it is, it is shown in health and tried again.
                self._show(error)
                self._pause(BLOCKED_DELAY)
                continue
            if loading is None and self._stopping:
                self._drained = not self._abandoned
                break
            if loading is None or not (loading.full or self._stopping):
                self._pause(max(0.0, self._limits.load_every - (time.monotonic() - began)))
        self._sender.close()

    def _show(self, error: Exception) -> None:
        message = str(error) or repr(error)
        if message != self._spool_error:
            if isinstance(error, PlatformError | OSError):
                logger.error("loading is blocked: %s", message)
            else:
                logger.exception("loading is blocked by an error that nobody expected")
        self._spool_error = message

    def _may_go_on(self) -> bool:
        return not self._abandoned

    def _abandon(self) -> None:
        self._abandoned = True
        self._wake.set()

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
