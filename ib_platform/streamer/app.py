"""One run of the pod's main process.

Nothing comes between the socket and the spool but the stamp; everything else (understanding,
loading, health, rows for people) follows the spool. Imports no Dagster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from ib_platform.clocks import Clocks
from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import GatewayError, LiveAccountError, SpoolError
from ib_platform.health_server import serve_health
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import Judgement
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.states import PodState, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.capability_keeper import CapabilityKeeper
from ib_platform.streamer.clock_watch import watch_clocks
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.housekeeping import RowWriter, measure_regularly, sync_regularly
from ib_platform.streamer.link import Link
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.metrics import StreamerCollector
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.rolls import RollMemory, rolls_path
from ib_platform.streamer.session_gate import SessionGate
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker

logger = logging.getLogger(__name__)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_OBSERVE_EVERY = 1.0
_PENALTY_PAUSE = 60.0


def reconnect_pause(failures: int, chance: float) -> float:
    """Seconds before the next connection: doubling, capped, jittered by ``chance`` in [0, 1)."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
    return float(longest * (0.5 + 0.5 * chance))


class Streamer:
    """One run of one paper user. ``run`` until ``ask_to_stop``."""

    def __init__(
        self,
        config: PlatformConfig,
        user: PaperUser,
        spool: Spool,
        loader: Loader,
        clocks: Clocks | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """``registry``: what ``/metrics`` shows beside the metrics of this run."""
        paths = PodPaths(config.runtime.state_dir, user.name)
        self._clocks = clocks = clocks or Clocks()
        self._user = user
        self._limits = config.limits
        self._certificate = paths.certificate
        self._spool = spool
        self._watcher = AssignmentWatcher(config.clickhouse, paths)
        tracker = Tracker(config.limits.silent_after)
        self._state = StreamerState(spool, loader, self._watcher, tracker, clocks)
        self._registry = registry or CollectorRegistry()
        self._registry.register(StreamerCollector(self._state))
        self._subscriptions = Subscriptions(
            user.account, chance=random.random, ladder_renewal=config.limits.ladder_renewal
        )
        self._capability = CapabilityKeeper(paths.capability, self._state, self._subscriptions)
        self._rows = RowWriter(config.clickhouse, config.limits.heartbeat_every)
        self._desk = ContractDesk(
            tracker,
            self._subscriptions,
            self._rows.contract,
            roll_of=config.roll_of,
            rolls=RollMemory(rolls_path(paths)),
        )
        self._stopping = asyncio.Event()
        pacing = config.gateway.pacing
        self._pace = Pace(
            paths.pacing,
            share=pacing.streamer_per_second,
            penalty_pause=pacing.penalty_pause,
            clock=clocks.seconds,
            wall=clocks.unix,
        )
        self._gate = SessionGate(user, paths, self._state, self._stopping, self._pause)
        self._stop_asked_at: float | None = None

    @property
    def state(self) -> StreamerState:
        return self._state

    def ask_to_stop(self) -> None:
        """End ``run`` in order; called by SIGTERM and SIGINT."""
        if self._stop_asked_at is None:
            self._stop_asked_at = self._clocks.seconds()
        self._stopping.set()

    @property
    def stop_deadline(self) -> float:
        """Until when (monotonic seconds) everything must be over, counted from the first wish."""
        asked_at = self._clocks.seconds() if self._stop_asked_at is None else self._stop_asked_at
        return asked_at + self._limits.shutdown_deadline

    def join_threads(self) -> None:
        """Wait for the last rows for people, as long as the deadline allows."""
        for thread in (self._rows, self._watcher):
            thread.stop(max(0.0, self.stop_deadline - self._clocks.seconds()))

    async def run(self) -> None:
        """Stream until asked to stop.

        Raises:
            LiveAccountError: the login is not provably paper; nothing was requested.
            PlatformInUseError: the health port is taken.
            SpoolError: the disk does not make the spool durable.
        """
        async with serve_health(self._user.health_port, self._state.probes(), self._registry):
            self._watcher.start()
            self._rows.start()
            jobs: list[Coroutine[Any, Any, object]] = [
                self._stay_connected(),
                sync_regularly(self._spool, self._limits.fsync_every),
                watch_clocks(self._state.clock_watch, self._clocks),
                self._observe(),
                measure_regularly(self._spool.room),
                self._stop_anyhow(),
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
                self._watcher.ask_to_stop()
                self._rows.ask_to_stop()

    async def _stop_anyhow(self) -> None:
        """A gateway that hangs may use a part of the time only: the record and its loading need
        the rest."""
        await self._stopping.wait()
        await asyncio.sleep(self._limits.shutdown_deadline / 3)
        logger.warning("the gateway does not answer the goodbye")

    async def _observe(self) -> None:
        while True:
            with contextlib.suppress(SpoolError):
                # Still full: it was said when that began.
                self._state.journal.catch_up()
            self._state.remind_of_session()
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
                self._state.session_is(self._gate.judge(error))
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
        async with GatewayClient(self._user.gateway_port, tls, pace=self._pace) as client:
            session = await self._gate.pass_through(client)
            if session is None:
                return False
            socket = await GatewaySocket.connect(client, session)
            try:
                return await self._stream(socket, client)
            finally:
                await socket.close()

    async def _stream(self, socket: GatewaySocket, client: GatewayClient) -> bool:
        state = self._state
        state.connections += 1
        state.connected = True
        number = state.connections
        state.journal.event(StreamEventKind.CONNECTED, connection=number)
        logger.info("websocket connection %d is open", number)
        link = Link(
            self._user,
            socket,
            client,
            state,
            self._subscriptions,
            self._desk,
            self._watcher,
            self._capability,
            self._limits,
        )
        end = None
        try:
            end = await link.run(self._stopping)
        finally:
            state.connected = False
            state.tracker.disconnected()
            self._subscriptions.forget(end.cause if end is not None else None)
        if end is not None:
            logger.warning("connection %d ended (%s): %s", number, end.cause, end.why)
            state.journal.event(
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
