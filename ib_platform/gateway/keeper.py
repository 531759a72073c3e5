"""Carries out what the session machine says, and tells it what came of it. No decision is here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from ib_platform.errors import GatewayError, LiveAccountError
from ib_platform.gateway.health import SupervisorState
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session_machine import Action, SessionMachine, Step

logger = logging.getLogger(__name__)
_LONGEST_REST = 5.0
_LOGOUT_TIMEOUT = 3.0
_NO_DIGITS = str.maketrans("", "", "0123456789")
LogIn = Callable[[], Awaitable[LoginResult]]


class Program(Protocol):
    """The gateway program, as far as the session is concerned."""

    @property
    def pid(self) -> int | None: ...

    async def restart(self, deadline: float) -> None: ...


class SessionKeeper:
    """The loop of one session. ``keep`` runs until cancelled.

    ``stop_deadline``: seconds that the gateway program gets to end. ``clock``: monotonic seconds,
    ``wall``: the present, aware.
    """

    def __init__(
        self,
        machine: SessionMachine,
        client: GatewayClient,
        proof: PaperProof,
        record: LoginRecord,
        program: Program,
        log_in: LogIn,
        state: SupervisorState,
        *,
        stop_deadline: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._machine = machine
        self._client = client
        self._proof = proof
        self._record = record
        self._program = program
        self._log_in = log_in
        self._state = state
        self._stop_deadline = stop_deadline
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._saved: LoginHistory | None = None
        self._unsaved = False
        self._told: str | None = None
        self._failure: str | None = None
        self._pid: int | None = None
        self._proof_of = machine.logins_seen
        self._session: str | None = None
        self._status = SessionStatus()
        self.locked = asyncio.Event()
        """Set when nobody may log in any more, and the login that was refused is ended."""

    async def keep(self) -> None:
        """Keep the session until cancelled."""
        while True:
            await self.step()

    async def step(self) -> Step:
        """Ask the machine once, and do what it says. Returns what that was."""
        self._notice_program()
        penalty_left = self._client.pace.penalty_left()
        step = self._machine.next_step(self._clock(), self._wall(), penalty_left)
        self._tell()
        if step.action is Action.REST:
            if self._machine.history.lock is not None and not self._machine.logout_due:
                self.locked.set()
            await self._sleep(min(step.seconds, _LONGEST_REST))
        elif step.action is not Action.LOG_IN or self._save():
            await self._carry_out(step.action)
        else:
            self._machine.cannot_log_in("the login cannot be noted down", self._clock())
        self._save()
        self._tell()
        return step

    async def _carry_out(self, action: Action) -> None:
        machine = self._machine
        try:
            match action:
                case Action.LOOK:
                    self._status = await self._client.auth_status()
                    self._failure = None
                    machine.saw_status(self._status, self._clock())
                case Action.TICKLE:
                    await self._tickle()
                case Action.PROVE:
                    await self._prove()
                case Action.LOG_IN:
                    await self._login()
                case Action.LOG_OUT:
                    await self.log_out(urgent=True)
                case Action.RESTART_PROGRAM:
                    logger.warning("the gateway program is restarted: nothing milder has helped")
                    await self._program.restart(self._stop_deadline)
                case _:
                    await self._cure(action)
        except GatewayCallError as error:
            if str(error) != self._failure:
                logger.info("%s", error)
            self._failure = str(error)
            machine.saw_failure(error.status, self._clock(), error.body)
        except LiveAccountError as error:
            logger.critical("%s", error)
            machine.saw_live_login(str(error), self._wall())

    async def _tickle(self) -> None:
        try:
            session = (await self._client.tickle()).session
        except GatewayCallError as error:
            logger.info("%s", error)
            self._machine.saw_tickle_fail(self._clock())
            return
        self._machine.saw_tickle(self._clock())
        if session is not None and session != self._session:
            # Perhaps somebody has logged in between two looks.
            if self._session is not None:
                self._machine.forget_login()
            self._session = session

    async def _prove(self) -> None:
        machine, now = self._machine, self._clock()
        if machine.logins_seen != self._proof_of:
            # What the gateway said about another login proves nothing about this one.
            self._proof.forget()
            self._proof_of = machine.logins_seen
        login = proven = False
        try:
            login = await self._proof.login_is_paper(self._client, now)
            if login and machine.is_usable:
                proven = await self._proof.is_proven(self._client, now)
        except GatewayCallError as error:
            logger.info("%s", error)
            machine.saw_question_fail(str(error), self._clock())
        machine.saw_proof(self._clock(), login=login, proven=proven)
        if proven:
            logger.info("the login is proven to be paper")

    async def _cure(self, action: Action) -> None:
        logger.info("session cure: %s", action.value)
        try:
            if action is Action.REAUTHENTICATE:
                await self._client.reauthenticate()
                return
            answer = await self._client.ssodh_init(compete=action is Action.TAKE_OVER)
        except GatewayCallError as error:
            logger.info("%s", error)
            self._machine.saw_question_fail(str(error), self._clock())
            return
        # It may say {"wait":true} only: then what was known before still holds.
        self._status = self._status.merged_with(answer)
        self._machine.saw_status(self._status, self._clock())

    async def _login(self) -> None:
        logger.info("logging in")
        result = await self._log_in()
        level = logging.INFO if result.outcome is LoginOutcome.SUBMITTED else logging.ERROR
        seen = "" if result.evidence is None else f" (what the page showed: {result.evidence})"
        logger.log(level, "login %s: %s%s", result.outcome.value, result.detail, seen)
        self._machine.saw_login(result, self._clock(), self._wall())

    async def log_out(self, *, urgent: bool = False) -> None:
        """End the login at the gateway; what fails is said, never raised. ``urgent``: during a
        penalty too."""
        try:
            async with asyncio.timeout(_LOGOUT_TIMEOUT):
                await self._client.logout(urgent=urgent)
        except (GatewayError, TimeoutError) as error:
            logger.warning("logout failed: %s", error)

    def _notice_program(self) -> None:
        pid = self._program.pid
        if pid is not None and pid != self._pid:
            self._pid = pid
            self._machine.saw_new_program(self._clock())

    def _save(self) -> bool:
        """Whether the history is on disk as it is now."""
        history = self._machine.history
        if history == self._saved:
            return True
        try:
            self._record.save(history)
        except GatewayError as error:
            if not self._unsaved:
                logger.error("%s", error)
            self._unsaved = True
            return False
        self._saved, self._unsaved = history, False
        return True

    def _tell(self) -> None:
        machine = self._machine
        if self._state.update(machine.judgement):
            logger.info("session: %s: %s", machine.judgement.state, machine.judgement.reason)
        # The figures in it grow; what it is about is said once.
        kind = None if machine.alarm is None else machine.alarm.translate(_NO_DIGITS)
        if kind is not None and kind != self._told:
            logger.error("alarm: %s", machine.alarm)
        self._told = kind
