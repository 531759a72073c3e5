"""``ib-platform drain-spool``: load what a paper user's spool holds, without any session.

For a paper user that may not log in, or shall not: retired, or gone. A drain is a run of its own,
which receives nothing: so it owns the spool, says how the runs before it ended, and leaves nothing
half done when it is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ib_platform import __version__, config
from ib_platform.clocks import Clocks
from ib_platform.errors import PlatformError
from ib_platform.states import StreamEventKind
from ib_platform.streamer.lean_imports import keep_pandas_out
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.quarantine import RefusedBatch
from ib_platform.streamer.quarantined import quarantined
from ib_platform.streamer.segment_writer import give_folder_back, take_folder
from ib_platform.streamer.segments import list_segments
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform.streamer.unloaded import Unloaded, unloaded


class DeadlineOverError(PlatformError):
    """A drain ended before everything was loaded; what is left stays in the spool."""


@dataclass(frozen=True, slots=True)
class Drained:
    """``loaded``: frames that are in ClickHouse now, ``left``: what is not, both by run id and
    without the drain's own run. ``refused``: batches that ClickHouse refused for their content;
    they are in the quarantine. ``trouble``: what ClickHouse said last, where not all is loaded."""

    run_id: str
    loaded: dict[str, int]
    left: dict[str, Unloaded]
    refused: tuple[RefusedBatch, ...]
    trouble: str | None


def drain(
    settings: config.PlatformConfig,
    paper_user: str,
    folder: Path,
    deadline_seconds: float | None = None,
    clocks: Clocks | None = None,
) -> Drained | None:
    """Load everything; None when there was nothing to load, and nothing was written.

    ``deadline_seconds``: from now, when to give up, by default never. What is left is counted
    after it.

    Raises:
        SpoolError: a streamer owns the spool (named by its pid), or the spool cannot be used.
    """
    keep_pandas_out()
    clocks = clocks or Clocks()
    until = None if deadline_seconds is None else time.monotonic() + deadline_seconds
    before = _what_is_there(folder, paper_user)
    if not before:
        return None
    known = {batch.folder.name for batch in quarantined(folder)}
    run_id = new_run_id(paper_user, clocks.utc())
    with _run(settings.limits, paper_user, folder, run_id, clocks) as spool:
        loader = Loader(spool, settings.clickhouse, settings.limits)
        done = _load(spool, loader, until)
        left = {} if done else unloaded(folder, paper_user)
        trouble = None if done else loader.health().last_error
        refused = [one.batch for one in quarantined(folder) if one.folder.name not in known]
    # The drain's own events are no news to anybody.
    left.pop(run_id, None)
    loaded = dict.fromkeys(before, 0) | loader.progress.recovered
    return Drained(run_id, loaded, left, tuple(refused), trouble)


def _what_is_there(folder: Path, paper_user: str) -> dict[str, Unloaded]:
    if not folder.is_dir() or not list_segments(folder):
        return {}
    lock = take_folder(folder)
    try:
        return unloaded(folder, paper_user, count=False)
    finally:
        give_folder_back(folder, lock)


@contextmanager
def _run(
    limits: config.Limits, paper_user: str, folder: Path, run_id: str, clocks: Clocks
) -> Iterator[Spool]:
    spool = Spool.open(
        folder,
        paper_user,
        run_id,
        segment_bytes=limits.segment_bytes,
        segment_seconds=limits.segment_seconds,
        budget_bytes=limits.spool_bytes,
        keep_loaded=limits.keep_loaded,
        clocks=clocks,
    )
    try:
        yield spool
    finally:
        spool.close()


def _load(spool: Spool, loader: Loader, until: float | None) -> bool:
    """All that the earlier runs left, then the drain's own events. False: not everything.
    ``until``: monotonic seconds."""
    started = {"drain": True, "pid": os.getpid(), "version": __version__}
    spool.append_event(StreamEventKind.RUN_STARTED, detail=started, urgent=True)
    try:
        done = loader.drain(_rest_of(until))
    finally:
        # Whatever came: this run ends here and now, and nobody shall take it for one that died.
        balance = {"drain": True, "received": 0, "spooled": 0}
        spool.append_event(StreamEventKind.RUN_STOPPED, detail=balance, urgent=True)
    if done:
        # Its last event may wait for the next run: all else is loaded.
        loader.drain(_rest_of(until))
    return done


def _rest_of(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())
