"""One websocket connection of a streamer: stamp, spool, understand, subscribe, notice its end."""

from __future__ import annotations

import asyncio
import logging
import time
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
from ib_platform.ibkr.session import cause_of, judge_failure, judge_status
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.marketdata.calendar import is_open
from ib_platform.marketdata.frames import classify
from ib_platform.states import Cause, ContractState, PodState
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.health import StreamerState, utc_now
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.stamps import Moment, look_at_clocks, record_doubt
from ib_platform.streamer.subscriptions import LadderSight, Request, Subscriptions, carry_out

logger = logging.getLogger(__name__)
_LOOK_EVERY = 0.25
_KEEP_ALIVE_EVERY = 30.0
_SESSION_POLL = 10.0
_ASK_AGAIN = 1.0
_PENALTY_PAUSE = 60.0
_STATUS_DUE = 15.0
_FOLLOWS_WITHIN = 8.0
"""The websocket tells of a session that is usable again within this time; then the next question
finds it out of step."""
_PROBE_TIMEOUT = 2.0
_CONTROL_TOPICS = ("sts", "system")


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Why a connection ended: the gap's cause, and the words for people."""

    cause: Cause
    why: str


class Intake:
    """Stamp, then spool, then everything else."""

    def __init__(self, state: StreamerState) -> None:
        self._state = state

    def take(self, payload: bytes) -> tuple[str, Moment]:
        """Record one message; its topic and stamps. What the disk refused moves no book, but is
        understood: a session that ends must be noticed on a full disk too."""
        at = look_at_clocks()
        state = self._state
        state.received += 1
        if not state.journal.frame(at.wall, at.monotonic, state.connections, payload):
            state.tracker.frames_lost()
            return classify(payload).topic, at
        return state.tracker.frame(payload, at.wall, at.monotonic).topic, at


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
        limits: Limits,
    ) -> None:
        self._user = user
        self._socket = socket
        self._client = client
        self._state = state
        self._subscriptions = subscriptions
        self._desk = desk
        self._watcher = watcher
        self._heartbeat_timeout = limits.heartbeat_timeout
        self._intake = Intake(state)
        self._status = SessionStatus()
        self._told = SessionStatus()
        """What the websocket itself has said: REST may already speak of another login."""
        self._left_behind_since: float | None = None
        self._heard_at = self._opened_at = self._kept_alive_at = time.monotonic()
        self._unrecorded = False
        self.was_usable = False

    async def run(self, stopping: asyncio.Event) -> LinkEnd | None:
        """Stream until the connection ends (why) or ``stopping`` is set (None: said goodbye).

        Raises:
            LiveAccountError: the gateway's welcome shows a login that is not ours, or not paper.
        """
        jobs: list[Coroutine[Any, Any, object]] = [
            self._receive(),
            self._look_after(),
            self._poll_session(),
            stopping.wait(),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if (error := task.exception()) is not None:
                raise error
        if stopping.is_set():
            await self._say_goodbye()
            return None
        why = next(result for result in results if isinstance(result, str))
        return LinkEnd(await self._cause_of_end(), why)

    async def _receive(self) -> str:
        while (payload := await self._socket.receive()) is not None:
            topic, at = self._intake.take(payload)
            self._heard_at = time.monotonic()
            if topic in _CONTROL_TOPICS:
                self._control(read_control(payload), at)
        return f"the gateway closed the websocket (code {self._socket.close_code})"

    def _control(self, message: Heartbeat | Welcome | SessionStatus | None, at: Moment) -> None:
        if isinstance(message, SessionStatus):
            self._told = self._told.merged_with(message)
            self._status_is(self._status.merged_with(message))
        elif isinstance(message, Welcome):
            require_paper_welcome(message, self._user.username, self._user.name)
        elif isinstance(message, Heartbeat):
            doubt = self._state.heartbeats.arrived(message.sent_ms, at)
            if doubt is not None:
                record_doubt(self._state.journal, doubt)

    def _status_is(self, status: SessionStatus) -> None:
        """Take a changed session. A repeated ``sts`` of a session that stays is no change."""
        had, self._status = self._status.usable, status
        if status.authenticated is None:
            return
        judgement = judge_status(status)
        self._state.session_is(judgement)
        if had and not status.usable:
            self._subscriptions.forget(cause_of(judgement.state))
        if status.usable and not had:
            # Nothing is subscribed on a session that has just become usable.
            self._subscriptions.forget()
            self._state.tracker.connected(time.monotonic())
            self.was_usable = True

    async def _look_after(self) -> str:
        """Follow the assignment, subscribe, keep alive, notice a dead connection."""
        while True:
            now = time.monotonic()
            if now - self._heard_at > self._heartbeat_timeout:
                return f"nothing came for {self._heartbeat_timeout:.0f} s, not even a heartbeat"
            if not self.was_usable and now - self._opened_at > _STATUS_DUE:
                return f"no authenticated sts came within {_STATUS_DUE:.0f} s"
            try:
                await self._subscribe(now)
                if now - self._kept_alive_at > _KEEP_ALIVE_EVERY:
                    self._kept_alive_at = now
                    await self._socket.send(KEEP_ALIVE)
                self._unrecorded = False
            except GatewayCallError as error:
                if self._socket.close_code is not None:
                    return str(error)
                logger.warning("contracts are not resolved yet: %s", error)
            except SpoolError as error:
                # What cannot be recorded is not requested, hence asked for again.
                if not self._unrecorded:
                    logger.error("requests wait until the spool takes them: %s", error)
                self._unrecorded = True
                self._subscriptions.renew(Cause.DISK_FULL)
            await asyncio.sleep(_LOOK_EVERY)

    async def _subscribe(self, now: float) -> None:
        if not self._status.usable:
            return
        await self._desk.follow(self._watcher.known.assignment, self._client, now, utc_now())
        self._state.journal.catch_up()
        if (cause := self._state.journal.take_recovery()) is not None:
            self._subscriptions.renew(cause)
        plan = self._subscriptions.plan(now, self._sights(now))
        await carry_out(plan, self._record, self._socket.send)

    def _sights(self, now: float) -> dict[str, LadderSight]:
        tracker, at = self._state.tracker, utc_now()
        states = tracker.states(now, at)
        quiet = (ContractState.SILENT, ContractState.NO_DATA)
        return {
            key: LadderSight(
                contract.last_frame, is_open(contract.calendar, at), states[key] in quiet
            )
            for key, contract in tracker.contracts.items()
        }

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
            self._state.tracker.ladder_requested(request.contract)

    async def _poll_session(self) -> str:
        """REST evidence beside ``sts``. A failed call proves nothing about an open websocket,
        unless it is a 401 (the login is gone) or a 429 (pause, but keep the websocket)."""
        pause = _SESSION_POLL
        refused = False
        while True:
            await asyncio.sleep(pause)
            pause = _SESSION_POLL
            try:
                status = await self._client.auth_status()
            except GatewayCallError as error:
                judgement = judge_failure(error.status)
                logger.warning("auth/status: %s", error)
                if judgement.state is PodState.NO_SSO and not refused:
                    # One 401 may be a slip of the gateway: a working websocket is worth a question.
                    refused, pause = True, _ASK_AGAIN
                elif judgement.state is PodState.NO_SSO:
                    self._status = SessionStatus(authenticated=False)
                    self._state.session_is(judgement)
                    return "the login is gone (401)"
                elif judgement.state is PodState.PENALTY:
                    pause = _PENALTY_PAUSE
                continue
            refused = False
            if self._is_left_behind(status):
                return "the session is usable, but this websocket's is not: another login"
            # Before the first sts the websocket would drop requests, whatever REST says.
            if self.was_usable and status.authenticated is not None:
                self._status_is(self._status.merged_with(status))

    def _is_left_behind(self, status: SessionStatus) -> bool:
        """Whether REST has said for a while that the session is usable, and the websocket that it
        is not. So it is after a login that was lost and made anew between two questions."""
        now = time.monotonic()
        if not self.was_usable or self._told.usable or not status.usable:
            self._left_behind_since = None
        elif self._left_behind_since is None:
            self._left_behind_since = now
        since = self._left_behind_since
        return since is not None and now - since >= _FOLLOWS_WITHIN

    async def _cause_of_end(self) -> Cause:
        if self._state.session.state is not PodState.AUTHENTICATED:
            return cause_of(self._state.session.state)
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                judgement = judge_status(await self._client.auth_status())
        except GatewayCallError as error:
            judgement = judge_failure(error.status)
        except TimeoutError:
            return Cause.DISCONNECTED
        self._state.session_is(judgement)
        return cause_of(judgement.state)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                await carry_out(self._subscriptions.farewell(), self._record, self._socket.send)
        except (GatewayCallError, SpoolError, TimeoutError) as error:
            logger.warning("not unsubscribed: %s", error)
