"""``ib-platform stream``: opens the spool, runs the streamer, loads the rest. No Dagster here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time

from prometheus_client import CollectorRegistry

from ib_platform import __version__
from ib_platform.clocks import Clocks
from ib_platform.config import PlatformConfig
from ib_platform.paths import PodPaths
from ib_platform.states import StreamEventKind
from ib_platform.streamer.app import Streamer
from ib_platform.streamer.between_runs import say_step_between_runs
from ib_platform.streamer.ending import say_the_end
from ib_platform.streamer.insert_metrics import InsertMetrics
from ib_platform.streamer.lean_imports import import_for_threads, keep_pandas_out
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool, new_run_id

logger = logging.getLogger(__name__)


async def _serve(streamer: Streamer) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, streamer.ask_to_stop)
    await streamer.run()


def run(config: PlatformConfig, paper_user: str) -> None:
    """Stream ``paper_user``'s contracts until SIGTERM or SIGINT, then flush and return.

    Frames that ClickHouse has not acknowledged within ``limits.shutdown_deadline`` stay in the
    spool, which is said in the log; the next run loads them.

    Raises:
        ConfigurationError: no such paper user.
        SpoolError: another streamer of the same paper user runs, or the disk refuses.
        LiveAccountError: the login is not provably paper.
        PlatformInUseError: the health port is taken.
    """
    keep_pandas_out()
    import_for_threads()
    user = config.paper_user(paper_user)
    paths = PodPaths(config.runtime.state_dir, user.name)
    run_id = new_run_id(user.name, Clocks().utc())
    limits = config.limits
    spool = Spool.open(
        paths.spool,
        user.name,
        run_id,
        segment_bytes=limits.segment_bytes,
        segment_seconds=limits.segment_seconds,
        budget_bytes=limits.spool_bytes,
        keep_loaded=limits.keep_loaded,
    )
    try:
        logger.info("run %s, spool %s", run_id, paths.spool)
        registry = CollectorRegistry()
        inserts = InsertMetrics(registry)
        loader = Loader(spool, config.clickhouse, config.limits, observer=inserts)
        streamer = Streamer(config, user, spool, loader, registry=registry)
        # Before the run says that it has begun: from then on it counts as the last one.
        now = say_step_between_runs(spool, streamer.state.journal)
        streamer.state.clock_watch.since(now)
        # Boot and monotonic clock: in which order runs ran, whatever the wall clock was set to.
        clock = {"boot_id": spool.boot_id, "monotonic_ns": now.monotonic}
        source = config.source_of(user.name).value
        started = {"pid": os.getpid(), "version": __version__, "source": source, **clock}
        streamer.state.journal.event(StreamEventKind.RUN_STARTED, detail=started)
        loader.start()
        try:
            asyncio.run(_serve(streamer))
        except BaseException as error:
            say_the_end(streamer.state, error)
            raise
        else:
            say_the_end(streamer.state, None)
        finally:
            _load_the_rest(streamer, loader)
    finally:
        spool.close()


def _load_the_rest(streamer: Streamer, loader: Loader) -> None:
    """Load what can be loaded in the time that is left. The other threads delay nothing."""
    spool = streamer.state.spool
    balance = {"received": streamer.state.received, "spooled": spool.frames_written}
    if loader.stop(max(0.0, streamer.stop_deadline - time.monotonic())):
        refused = loader.progress.refused
        but = f" but {refused}, which ClickHouse refused" if refused else ""
        logger.info("stopped; frames: %s, all stored%s", balance, but)
    else:
        remaining = spool.frames_written - loader.progress.stored - loader.progress.refused
        logger.warning(
            "stopped; frames: %s; %d are not stored yet and stay in the spool %s for the next run",
            balance,
            remaining,
            spool.folder,
        )
    streamer.join_threads()
