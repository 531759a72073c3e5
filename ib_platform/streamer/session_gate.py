"""What a streamer waits for before it asks for any market data: a usable session, proven paper.

The supervisor owns the session; a streamer only asks. Its questions repeat as often as it takes,
since a login may need minutes and a lost one comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ib_platform.config import PaperUser
from ib_platform.ibkr.proof import LoginQuestion, PaperProof
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import Judgement, judge_failure, judge_status
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.session_lock import lock_of

_SESSION_POLL = 1.0


class SessionGate:
    """Of one paper user. It shows in ``state`` what it waits for, and gives up when ``stopping`` is
    set. ``pause`` waits so many seconds, shorter when asked to stop."""

    def __init__(
        self,
        user: PaperUser,
        paths: PodPaths,
        state: StreamerState,
        stopping: asyncio.Event,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._username = user.username
        self._paths = paths
        self._state = state
        self._stopping = stopping
        self._pause = pause
        # The supervisor asks sso/validate, and only one call a minute is allowed.
        self._proof = PaperProof(user.account, user.name, first=LoginQuestion.ONE_USER)
        self._proof_session: str | None = None

    async def pass_through(self, client: GatewayClient) -> str | None:
        """The session's id when it is usable and proven to be paper; None when asked to stop.

        Raises:
            GatewayCallError: the gateway does not answer, or not what it should.
            LiveAccountError: the login is not provably paper; nothing was requested.
        """
        if not await self._wait_for_session(client):
            return None
        session = (await client.tickle()).session
        if session is None:
            raise GatewayCallError("POST", "/tickle", 200, "no session in the answer")
        return session if await self._prove_paper(client, session) else None

    def judge(self, error: GatewayCallError) -> Judgement:
        """What a call that failed says of the session, or of the lock that keeps it away."""
        judgement = judge_failure(error.status, error.body)
        if judgement.state is not PodState.DOWN:
            return judgement
        paths = self._paths
        lock = lock_of(paths.login_record, self._username, paths.unlock_token)
        return lock or judgement

    async def _wait_for_session(self, client: GatewayClient) -> bool:
        """Poll ``auth/status`` until it is usable; False when asked to stop meanwhile."""
        while not self._stopping.is_set():
            status = await client.auth_status()
            self._state.session_is(judge_status(status))
            if status.usable:
                return True
            await self._pause(_SESSION_POLL)
        return False

    async def _prove_paper(self, client: GatewayClient, session: str) -> bool:
        """Before any market-data request, once per login; False when asked to stop meanwhile."""
        if session != self._proof_session:
            self._proof.forget()
            self._proof_session = session
        while not await self._proof.is_proven(client, self._state.clocks.seconds()):
            if self._stopping.is_set():
                return False
            reason = "the gateway has not said yet whether the login is paper"
            self._state.session_is(Judgement(PodState.SSO_ONLY, reason))
            await self._pause(_SESSION_POLL)
        self._state.session_is(Judgement(PodState.AUTHENTICATED, "proven to be a paper login"))
        return True
