"""A running simulation as plain values for people and tests. Holds no secret."""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.simulator.clock import utc
from ib_platform.simulator.fault_kinds import SPECS
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

Shape = dict[str, object]


def world_state(world: World, usernames: Mapping[str, str]) -> Shape:
    """Users with their logins, ladders, penalties, faults and the clock. Times in seconds.
    ``usernames``: by name of the paper user."""
    now = world.clock.now()
    names = {username: name for name, username in usernames.items()}
    return {
        "clock": {"now": utc(world.clock).isoformat(), "elapsed": round(world.elapsed, 3)},
        "users": [_user(world, user, names.get(user.username), now) for user in world.users],
        "penalties": world.pacing.penalties(now),
        "outage": world.outages.at(world.clock.wall()),
        "faults": [fault_shape(fault, now) for fault in world.faults.all(now)],
    }


def fault_shape(fault: Fault, now: float) -> Shape:
    """One fault; ``remaining`` None: until it is stopped."""
    return {
        "number": fault.number,
        "fault": fault.kind,
        "username": fault.username,
        "symbol": fault.symbol,
        "remaining": None if fault.until is None else round(fault.until - now, 3),
        "instant": SPECS[fault.kind].instant,
        "parameters": dict(fault.parameters),
    }


def _user(world: World, user: SimulatedUser, paper_user: str | None, now: float) -> Shape:
    logins = [login for login in world.logins.values() if login.user is user]
    return {
        "username": user.username,
        "paper_user": paper_user,
        "account": user.account,
        "kind": user.kind,
        "second_factor": user.second_factor,
        "availability": user.availability,
        "locked": world.sessions(user.username).locked,
        "logins": [
            {
                "connected": status.connected,
                "authenticated": status.authenticated,
                "competing": status.competing,
                "ladders": [world.symbol_of(conid) for conid in login.ladders.conids],
            }
            for login in logins
            if (status := login.status(now)).sso
        ],
        "sent": world.record(user.username),
    }
