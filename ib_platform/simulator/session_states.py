"""Words of the session machine: its parameters, its answers, and what it tells of a login."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ib_platform.simulator.parameters import Seconds, Share, Span, parameters


@parameters
class SessionParameters:
    """Times in seconds.

    ``login_delay``: how long ``auth/status`` stays false after a login (observed: 5 to 7 s).
    ``authentication_delay``: from ``ssodh/init`` to authenticated on an older login.
    ``no_bridge_after_init``: how long ``/iserver`` still says ``no bridge`` after that.
    ``idle_timeout``: the brokerage session ends without requests. ``sso_idle_end``: so does a login
    that no gateway keeps alive. ``session_limit``: no login lives longer. ``wait_share``: how
    often ``ssodh/init`` answers ``{"wait":true}`` (observed: 10 of 50). ``logout_ends_sso``:
    IBKR's documents say that a logout asks for a new login, clients in the field rely on the
    opposite. ``lock_after``: wrong passwords in a row.
    """

    authentication_delay: Seconds = 0.5
    login_delay: Span = (5.0, 7.0)
    no_bridge_after_init: Seconds = 0.0
    idle_timeout: Seconds = 360.0
    sso_idle_end: Seconds = 600.0
    session_limit: Seconds = 86_400.0
    wait_share: Share = 0.2
    logout_ends_sso: bool = False
    lock_after: Annotated[int, Field(ge=1)] = 5


class InitAnswer(StrEnum):
    """What ``ssodh/init`` makes of a request."""

    STARTED = "started"
    WAIT = "wait"
    COMPETING = "competing"
    UNAVAILABLE = "unavailable"
    NO_LOGIN = "no_login"


class PasswordAnswer(StrEnum):
    """What became of a username and password."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What ``auth/status`` and ``sts`` tell. ``sso`` false means HTTP 401 everywhere."""

    sso: bool
    connected: bool
    authenticated: bool
    competing: bool = False
    message: str = ""
    fail: str = ""


NO_LOGIN = SessionStatus(sso=False, connected=False, authenticated=False)
