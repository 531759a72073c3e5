"""``ib-platform stream``: the pod's main process.

Nothing comes between the socket and the spool but the stamp; everything else (understanding,
loading, health, rows for people) follows the spool. Imports no Dagster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from collections.abc import Coroutine
from typing import Any

from ib_platform import __version__
from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import GatewayError, LiveAccountError, SpoolError
from ib_platform.health_server import serve_health
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import Judgement, judge_failure, judge_status, require_paper
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.states import PodState, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.health import StreamerState, utc_now
from ib_platform.streamer.housekeeping import RowWriter, sync_regularly, watch_stalls
from ib_platform.streamer.lean_imports import keep_pandas_out
from ib_platform.streamer.link import Link
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker

logger = logging.getLogger(__name__)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_SESSION_POLL = 1.0
_OBSERVE_EVERY = 1.0
_PENALTY_PAUSE = 60.0


def reconnect_pause(failures: int, chance: float) -> float:
    """Seconds before the next connection: doubling, capped, jittered by ``chance`` in [0, 1)."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
    return float(longest * (0.5 + 0.5 * chance))


class Streamer:
    """One run of one paper user. ``run`` until ``ask_to_stop``."""

    def __init__(
        self, config: PlatformConfig, user: PaperUser, spool: Spool, loader: Loader
    ) -> None:
        paths = PodPaths(config.runtime.state_dir, user.name)
        self._user = user
        self._limits = config.limits
        self._certificate = paths.certificate
        self._spool = spool
        self._watcher = AssignmentWatcher(config.clickhouse, paths)
        tracker = Tracker(config.limits.silent_after)
        self._state = StreamerState(spool, loader, self._watcher, tracker)
        self._subscriptions = Subscriptions(user.account)
        self._rows = RowWriter(config.clickhouse, config.limits.heartbeat_every)
        self._desk = ContractDesk(tracker, self._subscriptions, self._rows.contract)
        self._stopping = asyncio.Event()
        self._proven_session: str | None = None

    @property
    def state(self) -> StreamerState:
        return self._state

    def ask_to_stop(self) -> None:
        """End ``run`` in order; called by SIGTERM and SIGINT."""
        self._stopping.set()

    async def run(self) -> None:
        """Stream until asked to stop.

        Raises:
            LiveAccountError: the login is not provably paper; nothing was requested.
            PlatformInUseError: the health port is taken.
            SpoolError: the disk does not make the spool durable.
        """
        async with serve_health(self._user.health_port, self._state.probes()):
            self._watcher.start()
            self._rows.start()
            jobs: list[Coroutine[Any, Any, object]] = [
                self._stay_connected(),
                sync_regularly(self._spool, self._limits.fsync_every),
                watch_stalls(self._spool),
                self._observe(),
            ]
            tasks = [asyncio.create_task(job) for job in jobs]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.gather(
                    asyncio.to_thread(self._watcher.stop), asyncio.to_thread(self._rows.stop)
                )

    async def _observe(self) -> None:
        while True:
            self._rows.observed(self._state.health())
            await asyncio.sleep(_OBSERVE_EVERY)

    async def _stay_connected(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            good = False
            try:
                good = await self._connect_once()
            except GatewayCallError as error:
                logger.warning("%s", error)
                self._state.session_is(judge_failure(error.status))
            except LiveAccountError as error:
                self._state.session_is(Judgement(PodState.REFUSED_LIVE, str(error)))
                logger.critical("%s", error)
                raise
            except GatewayError as error:
                # The certificate is not there yet: the gateway makes it when it starts.
                self._state.session_is(Judgement(PodState.DOWN, str(error)))
            failures = 0 if good else failures + 1
            await self._pause(reconnect_pause(failures, random.random()))

    async def _connect_once(self) -> bool:
        """One session check and one connection; whether it was a usable one."""
        tls = client_ssl_context(self._certificate)
        async with GatewayClient(self._user.gateway_port, tls) as client:
            if not await self._wait_for_session(client):
                return False
            session = (await client.tickle()).session
            if session is None:
                raise GatewayCallError("POST", "/tickle", 200, "no session in the answer")
            if session != self._proven_session:
                await self._prove_paper(client)
                self._proven_session = session
            socket = await GatewaySocket.connect(client, session)
            try:
                return await self._stream(socket, client)
            finally:
                await socket.close()

    async def _wait_for_session(self, client: GatewayClient) -> bool:
        """Poll ``auth/status`` until it is usable; False when asked to stop meanwhile."""
        while not self._stopping.is_set():
            status = await client.auth_status()
            self._state.session_is(judge_status(status))
            if status.usable:
                return True
            await self._pause(_SESSION_POLL)
        return False

    async def _prove_paper(self, client: GatewayClient) -> None:
        """Before any market-data request, once per login: a 1/min limit guards ``validate``."""
        validation, accounts = await client.sso_validate(), await client.accounts()
        require_paper(validation, accounts, self._user.account, self._user.name)
        logger.info("login of %s is proven to be paper", self._user.name)

    async def _stream(self, socket: GatewaySocket, client: GatewayClient) -> bool:
        state = self._state
        state.connections += 1
        state.connected = True
        number = state.connections
        self._spool.append_event(StreamEventKind.CONNECTED, connection=number)
        logger.info("websocket connection %d is open", number)
        link = Link(
            socket, client, state, self._subscriptions, self._desk, self._watcher, self._limits
        )
        try:
            end = await link.run(self._stopping)
        finally:
            state.connected = False
            state.tracker.disconnected()
            self._subscriptions.forget()
        if end is not None:
            logger.warning("connection %d ended (%s): %s", number, end.cause, end.why)
            self._spool.append_event(
                StreamEventKind.DISCONNECTED,
                cause=end.cause,
                connection=number,
                detail={"why": end.why},
            )
        return link.was_usable

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the stop."""
        if self._state.session.state is PodState.PENALTY:
            seconds = max(seconds, _PENALTY_PAUSE)
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


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
    user = config.paper_user(paper_user)
    paths = PodPaths(config.runtime.state_dir, user.name)
    run_id = new_run_id(user.name, utc_now())
    segment_bytes = config.limits.segment_bytes
    spool = Spool.open(paths.spool, user.name, run_id, segment_bytes=segment_bytes)
    try:
        logger.info("run %s, spool %s", run_id, paths.spool)
        spool.append_event(
            StreamEventKind.RUN_STARTED, detail={"pid": os.getpid(), "version": __version__}
        )
        loader = Loader(spool, config.clickhouse, config.limits)
        loader.start()
        streamer = Streamer(config, user, spool, loader)
        try:
            asyncio.run(_serve(streamer))
        finally:
            _finish(streamer.state, loader, config.limits.shutdown_deadline)
    finally:
        spool.close()


def _finish(state: StreamerState, loader: Loader, deadline: float) -> None:
    """Say the balance in the record, make it durable, and load what can be loaded in time."""
    spool = state.spool
    balance = {"received": state.received, "spooled": spool.frames_written}
    try:
        spool.append_event(StreamEventKind.RUN_STOPPED, detail=balance)
        spool.sync()
    except SpoolError as error:
        logger.error("the end of the run is not on disk: %s", error)
    if loader.stop(deadline):
        logger.info("stopped; frames: %s, all stored", balance)
    else:
        remaining = spool.frames_written - loader.stored
        logger.warning(
            "stopped; frames: %s; %d are not stored yet and stay in the spool %s for the next run",
            balance,
            remaining,
            spool.folder,
        )
