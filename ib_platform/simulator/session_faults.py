"""Instant faults of sessions: a listener that turns each into what happens to the users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.login import Login

if TYPE_CHECKING:
    from ib_platform.simulator.world import World


class SessionFaults:
    """Registers itself with the world's faults for the world's life."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.faults.listen(self.told)

    def told(self, fault: Fault, now: float) -> None:
        """Do what the fault says to every login that it concerns."""
        match fault.kind:
            case FaultKind.COMPETING_LOGIN | FaultKind.USER_LOCKED:
                self._to_users(fault, now)
            case FaultKind.PENALTY_BOX:
                self._penalise(fault, now)
            case FaultKind.GATEWAY_DOWN if fault["login"] == "lost":
                for login in self._logins(fault):
                    self._world.end_login(login)
            case _:
                for login in self._logins(fault):
                    self._to_login(fault.kind, login)

    def _to_users(self, fault: Fault, now: float) -> None:
        for user in self._world.users:
            if not fault.concerns(user.username, fault.symbol):
                continue
            sessions = self._world.sessions(user.username)
            if fault.kind is FaultKind.USER_LOCKED:
                sessions.locked = True
                continue
            stays = fault.number_of("stays")
            sessions.other_device(
                now,
                retakes=int(fault.number_of("retakes")),
                every=fault.number_of("every"),
                stays=stays if stays > 0 else None,
                stays_authenticated=fault["authenticated"] == "yes",
            )

    def _penalise(self, fault: Fault, now: float) -> None:
        if fault.username is None:
            self._world.pacing.penalise_everybody(now)
        else:
            self._world.pacing.penalise_caller(fault.username, now)

    def _to_login(self, kind: FaultKind, login: Login) -> None:
        match kind:
            case FaultKind.LOGIN_LOST:
                self._world.end_login(login)
            case FaultKind.BROKERAGE_LOST:
                login.sessions.drop_brokerage(login.token)
            case FaultKind.SESSION_ID_CHANGED:
                login.renew_session_id()
            case _:
                pass

    def _logins(self, fault: Fault) -> list[Login]:
        return [
            login
            for login in self._world.logins.values()
            if fault.concerns(login.user.username, fault.symbol)
        ]
