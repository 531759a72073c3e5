"""One websocket connection of a streamer: stamp, spool, understand, subscribe, notice its end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from ib_platform.config import Limits, PaperUser
from ib_platform.errors import SpoolError
from ib_platform.ibkr.messages import (
    KEEP_ALIVE,
    Heartbeat,
    SessionStatus,
    Welcome,
    read_control,
)
from ib_platform.ibkr.proof import require_paper_welcome
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import cause_of, judge_status
from ib_platform.ibkr.socket import GatewaySocket, SendError
from ib_platform.states import Cause, PodState
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.capability_keeper import CapabilityKeeper
from ib_platform.streamer.goodbye import cancelled, say_goodbye
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.intake import Intake
from ib_platform.streamer.requests import Request, carry_out
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.session_poll import (
    SessionStatusOfLink,
    cause_of_end,
    poll_session,
)
from ib_platform.streamer.stamps import Moment, record_doubt
from ib_platform.streamer.subscriptions import Subscriptions

logger = logging.getLogger(__name__)
_LOOK_EVERY = 0.25
_PIECES_WITHIN = 0.5
_KEEP_ALIVE_EVERY = 30.0
_STATUS_DUE = 15.0
_CONTROL_TOPICS = ("sts", "system")


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Why a connection ended: the gap's cause, and the words for people."""

    cause: Cause
    why: str


class Link:
    """One open websocket. ``run`` until it ends or the streamer stops."""

    def __init__(
        self,
        user: PaperUser,
        socket: GatewaySocket,
        client: GatewayClient,
        state: StreamerState,
        subscriptions: Subscriptions,
        desk: ContractDesk,
        watcher: AssignmentWatcher,
        capability: CapabilityKeeper,
        limits: Limits,
    ) -> None:
        self._user = user
        self._socket = socket
        self._client = client
        self._state = state
        self._clocks = state.clocks
        self._subscriptions = subscriptions
        self._desk = desk
        self._watcher = watcher
        self._capability = capability
        self._heartbeat_timeout = limits.heartbeat_timeout
        self._intake = Intake(state)
        self._session = SessionStatusOfLink()
        self._heard_at = self._opened_at = self._kept_alive_at = self._clocks.seconds()
        self._unrecorded = False
        self._was_judged_usable = False
        self._judge_at: float | None = None
        self._answered = asyncio.Event()

    @property
    def was_usable(self) -> bool:
        """Whether the session could be used over this websocket at some time."""
        return self._session.was_usable

    async def run(self, stopping: asyncio.Event) -> LinkEnd | None:
        """Stream until the connection ends (why) or ``stopping`` is set (None: said goodbye).

        Raises:
            LiveAccountError: the gateway's welcome shows a login that is not ours, or not paper.
        """
        receiving = asyncio.create_task(self._receive())
        jobs: list[Coroutine[Any, Any, object]] = [
            self._look_after(),
            self._notice_a_dead_connection(),
            poll_session(self._client, self._state, self._session, self._status_is),
            stopping.wait(),
        ]
        tasks = [receiving, *(asyncio.create_task(job) for job in jobs)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set() and not any(task.exception() for task in done):
                await cancelled(tasks[1:])
                requests = carry_out(
                    self._subscriptions.farewell(), self._record, self._socket.send
                )
                await say_goodbye(requests, self._socket, receiving, self._answered)
        finally:
            results = await cancelled(tasks)
            if self._state.session.state is PodState.AUTHENTICATED:
                self._judge_what_waits()
        for task in done:
            if (error := task.exception()) is not None:
                raise error
        if stopping.is_set():
            return None
        end = next(result for result in results if isinstance(result, str | LinkEnd))
        if isinstance(end, LinkEnd):
            return end
        return LinkEnd(await cause_of_end(self._client, self._state), end)

    async def _receive(self) -> str:
        while (payload := await self._socket.receive()) is not None:
            topic, at = self._intake.take(payload)
            self._heard_at = self._clocks.seconds()
            if topic == KEEP_ALIVE:
                self._answered.set()
            if topic in _CONTROL_TOPICS:
                self._control(read_control(payload), at)
        return f"the gateway closed the websocket (code {self._socket.close_code})"

    def _control(self, message: Heartbeat | Welcome | SessionStatus | None, at: Moment) -> None:
        if isinstance(message, SessionStatus):
            self._session.told = self._session.told.merged_with(message)
            self._status_is(self._session.merged.merged_with(message))
        elif isinstance(message, Welcome):
            require_paper_welcome(message, self._user.username, self._user.name)
        elif isinstance(message, Heartbeat):
            doubt = self._state.heartbeats.arrived(message.sent_ms, at)
            if doubt is not None:
                record_doubt(self._state.journal, doubt)

    def _status_is(self, status: SessionStatus) -> None:
        """Take a changed session. A repeated ``sts`` of a session that stays is no change.

        ``sts`` comes in pieces, and the one that says why (``competing``) may come last: a session
        that was usable is judged when the others have had their time.
        """
        if status.usable:
            self._judge_what_waits()
        self._session.merged = status
        if status.authenticated is None:
            return
        if self._was_judged_usable and not status.usable and not status.competing:
            self._judge_at = self._judge_at or self._clocks.seconds() + _PIECES_WITHIN
        else:
            self._judge()

    def _judge_what_waits(self, until: float = math.inf) -> None:
        if self._judge_at is not None and self._judge_at <= until:
            self._judge()

    def _judge(self) -> None:
        status, had = self._session.merged, self._was_judged_usable
        self._judge_at, self._was_judged_usable = None, status.usable
        judgement = judge_status(status)
        self._state.session_is(judgement)
        if had and not status.usable:
            self._subscriptions.forget(cause_of(judgement.state))
        if status.usable and not had:
            # Nothing is subscribed on a session that has just become usable.
            self._subscriptions.forget()
            self._state.tracker.connected(self._clocks.seconds())
            self._session.was_usable = True

    async def _notice_a_dead_connection(self) -> str:
        """TCP may stand though nothing will ever arrive. Nothing else may delay this look."""
        while True:
            now = self._clocks.seconds()
            self._judge_what_waits(until=now)
            if now - self._heard_at > self._heartbeat_timeout:
                return f"nothing came for {self._heartbeat_timeout:.0f} s, not even a heartbeat"
            if not self.was_usable and now - self._opened_at > _STATUS_DUE:
                return f"no authenticated sts came within {_STATUS_DUE:.0f} s"
            await asyncio.sleep(_LOOK_EVERY)

    async def _look_after(self) -> str | LinkEnd:
        """Follow the assignment, subscribe, keep alive."""
        while True:
            now = self._clocks.seconds()
            try:
                if (why := await self._subscribe(now)) is not None:
                    return LinkEnd(Cause.SILENT_LADDER, why)
                if now - self._kept_alive_at > _KEEP_ALIVE_EVERY:
                    self._kept_alive_at = now
                    await self._socket.send(KEEP_ALIVE)
                self._unrecorded = False
            except SendError as error:
                return str(error)
            except GatewayCallError as error:
                logger.warning("contracts are not resolved yet: %s", error)
            except SpoolError as error:
                # What cannot be recorded is not requested, hence asked for again.
                if not self._unrecorded:
                    logger.error("requests wait until the spool takes them: %s", error)
                self._unrecorded = True
                self._subscriptions.renew(Cause.DISK_FULL)
            await asyncio.sleep(_LOOK_EVERY)

    async def _subscribe(self, now: float) -> str | None:
        """Send what is due; why a new connection is needed instead, or None."""
        if not self._session.merged.usable:
            return None
        await self._desk.follow(
            self._watcher.known.assignment, self._client, now, self._clocks.utc()
        )
        self._state.journal.catch_up()
        if (cause := self._state.journal.take_recovery()) is not None:
            self._subscriptions.renew(cause)
        # Resolving contracts takes time: frames have come meanwhile.
        now = self._clocks.seconds()
        sights = self._state.tracker.sights(now, self._clocks.utc())
        if (why := self._subscriptions.reconnect(now, sights)) is not None:
            return why
        self._capability.look()
        plan = self._subscriptions.plan(now, sights, self._capability.why_not_held)
        await carry_out(plan, self._record, self._socket.send)
        return None

    def _record(self, request: Request) -> None:
        self._state.journal.event_now(
            request.kind,
            cause=request.cause,
            contract=request.contract,
            conid=request.conid,
            connection=self._state.connections,
            detail=request.detail,
        )
        if request.requests_ladder and request.contract is not None:
            self._state.tracker.ladder_requested(request.contract, self._clocks.seconds())
