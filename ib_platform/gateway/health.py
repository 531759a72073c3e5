"""Health of the gateway supervisor: the one place where its state lives, and its probes."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from ib_platform.health import GatewayHealth
from ib_platform.health_server import Probes
from ib_platform.ibkr.session import Judgement
from ib_platform.states import PodState

# The gateway program answers HTTP in all of these, whatever it answers.
_ANSWERING = frozenset(PodState) - {PodState.STARTING, PodState.DOWN, PodState.REFUSED_LIVE}


class SupervisorState:
    """Newest judgement of the session, and since when it has held."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._judgement = Judgement(PodState.STARTING, "the gateway program is starting")
        self._since = now()
        self._answered = False

    @property
    def judgement(self) -> Judgement:
        return self._judgement

    def update(self, judgement: Judgement) -> bool:
        """Take a new judgement; True when the state (not just the reason) changed.

        A program that has never answered yet is STARTING, not DOWN.
        """
        if judgement.state in _ANSWERING:
            self._answered = True
        elif judgement.state is PodState.DOWN and not self._answered:
            judgement = Judgement(PodState.STARTING, "the gateway program does not answer yet")
        changed = judgement.state is not self._judgement.state
        if changed:
            self._since = self._now()
        self._judgement = judgement
        return changed

    def health(self, paper_user: str, program_pid: int | None, starts: int) -> GatewayHealth:
        """Answer of ``/status``."""
        return GatewayHealth(
            paper_user=paper_user,
            pid=os.getpid(),
            state=self._judgement.state,
            since=self._since,
            reason=self._judgement.reason,
            program_pid=program_pid,
            program_starts=starts,
        )

    def probes(self, status: Callable[[], GatewayHealth]) -> Probes:
        """``/startup``: the program has answered HTTP once. ``/live``: this process serves
        requests. ``/ready``: authenticated, connected and not competing, by the last look."""
        return Probes(
            startup=lambda: self._answered,
            live=lambda: True,
            ready=lambda: self._judgement.state is PodState.AUTHENTICATED,
            status=status,
        )
