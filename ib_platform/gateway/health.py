"""Health of the gateway supervisor: the one place where its state lives, and its probes."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from ib_platform.health import GatewayHealth
from ib_platform.health_server import Probes
from ib_platform.ibkr.login_history import DAY
from ib_platform.ibkr.session import Judgement
from ib_platform.ibkr.session_machine import SessionMachine
from ib_platform.states import PodState

_UNSTARTED = frozenset({PodState.STARTING, PodState.DOWN})


class SupervisorState:
    """Newest judgement of the session, and since when its state has held."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._judgement = Judgement(PodState.STARTING, "the gateway program is starting")
        self._since = now()
        self._answered = False

    @property
    def judgement(self) -> Judgement:
        return self._judgement

    def update(self, judgement: Judgement) -> bool:
        """Take a new judgement; True when the state (not just the reason) changed."""
        # Also where nobody logs in any more: the container has started, and stays as it is.
        self._answered = self._answered or judgement.state not in _UNSTARTED
        changed = judgement.state is not self._judgement.state
        if changed:
            self._since = self._now()
        self._judgement = judgement
        return changed

    def health(
        self,
        paper_user: str,
        machine: SessionMachine,
        *,
        program_pid: int | None,
        starts: int,
        penalty_until: float | None,
    ) -> GatewayHealth:
        """Answer of ``/status``. ``penalty_until``: Unix seconds."""
        history = machine.history
        return GatewayHealth(
            paper_user=paper_user,
            pid=os.getpid(),
            state=self._judgement.state,
            since=self._since,
            reason=self._judgement.reason,
            program_pid=program_pid,
            program_starts=starts,
            alarm=machine.alarm,
            penalty_until=_instant(penalty_until),
            logins_in_a_day=history.within(DAY, self._now().timestamp()),
            refused_logins=history.refused,
            cures=dict(machine.cures),
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


def _instant(unix_seconds: float | None) -> datetime | None:
    return None if unix_seconds is None else datetime.fromtimestamp(unix_seconds, UTC)
