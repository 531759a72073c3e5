"""What REST says about the session of an open websocket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import cause_of, judge_failure, judge_status
from ib_platform.states import Cause, PodState
from ib_platform.streamer.health import StreamerState

logger = logging.getLogger(__name__)
PROBE_TIMEOUT = 2.0
_SESSION_POLL = 10.0
_ASK_AGAIN = 1.0
_PENALTY_PAUSE = 60.0
_FOLLOWS_WITHIN = 8.0
"""The websocket tells of a session that is usable again within this time; then the next question
finds it out of step."""


class SessionStatusOfLink:
    """The session as one websocket knows it: ``merged`` from ``sts`` and REST, ``told`` by the
    websocket alone, since REST may already speak of another login."""

    def __init__(self) -> None:
        self.merged = SessionStatus()
        self.told = SessionStatus()
        self.was_usable = False
        self._left_behind_since: float | None = None

    def is_left_behind(self, status: SessionStatus, now: float) -> bool:
        """Whether REST has said for a while that the session is usable, and the websocket that it
        is not. So it is after a login that was lost and made anew between two questions."""
        if not self.was_usable or self.told.usable or not status.usable:
            self._left_behind_since = None
        elif self._left_behind_since is None:
            self._left_behind_since = now
        since = self._left_behind_since
        return since is not None and now - since >= _FOLLOWS_WITHIN


async def poll_session(
    client: GatewayClient,
    state: StreamerState,
    known: SessionStatusOfLink,
    take: Callable[[SessionStatus], None],
) -> str:
    """REST evidence beside ``sts``, until it proves that the websocket is of no use; why.

    ``take`` gets each merged status. A failed call proves nothing about an open websocket, unless
    it is a 401 (the login is gone) or a 429 (pause, but keep the websocket).
    """
    pause = _SESSION_POLL
    refused = False
    while True:
        await asyncio.sleep(pause)
        pause = _SESSION_POLL
        try:
            status = await client.auth_status()
        except GatewayCallError as error:
            judgement = judge_failure(error.status, error.body)
            logger.warning("auth/status: %s", error)
            if judgement.state is PodState.NO_SSO and not refused:
                # One 401 may be a slip of the gateway: a working websocket is worth a question.
                refused, pause = True, _ASK_AGAIN
            elif judgement.state is PodState.NO_SSO:
                known.merged = SessionStatus(authenticated=False)
                state.session_is(judgement)
                return "the login is gone (401)"
            elif judgement.state is PodState.PENALTY:
                pause = _PENALTY_PAUSE
            continue
        refused = False
        if known.is_left_behind(status, state.clocks.seconds()):
            return "the session is usable, but this websocket's is not: another login"
        # Before the first sts the websocket would drop requests, whatever REST says.
        if known.was_usable and status.authenticated is not None:
            take(known.merged.merged_with(status))


async def cause_of_end(client: GatewayClient, state: StreamerState) -> Cause:
    """Why a websocket ended: what the session's state or one more question tells."""
    if state.session.state is not PodState.AUTHENTICATED:
        return cause_of(state.session.state)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            judgement = judge_status(await client.auth_status())
    except GatewayCallError as error:
        judgement = judge_failure(error.status, error.body)
    except TimeoutError:
        return Cause.DISCONNECTED
    state.session_is(judgement)
    return cause_of(judgement.state)
