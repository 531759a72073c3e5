"""One SSO login: what belongs to it beside its session state."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ib_platform.simulator.ladder_desk import LadderDesk
from ib_platform.simulator.session_states import SessionStatus
from ib_platform.simulator.sessions import UserSessions
from ib_platform.simulator.snapshots import SnapshotDesk
from ib_platform.simulator.users import SimulatedUser


@dataclass(eq=False)
class Login:
    """``token`` names it for ever; ``session_id`` is what ``tickle`` and the websocket's cookie
    carry, and it may change. ``login_ms``: unix milliseconds. ``accounts_listed_in``: the brokerage
    session (``brokerage_began``) in which ``/iserver/accounts`` was called last."""

    user: SimulatedUser
    sessions: UserSessions
    token: str
    session_id: str
    login_ms: int
    ladders: LadderDesk
    accounts_listed_in: float | None = None
    snapshots: SnapshotDesk = field(default_factory=SnapshotDesk)
    searched: set[int] = field(default_factory=set)

    def status(self, now: float) -> SessionStatus:
        return self.sessions.status(self.token, now)

    def renew_session_id(self) -> None:
        """From now on ``tickle`` names another session."""
        self.session_id = new_session_id()


def new_session_id() -> str:
    return uuid.uuid4().hex


LoginMaker = Callable[[SimulatedUser], Login]
