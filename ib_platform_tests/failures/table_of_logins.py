"""Failures of logins, as data. Most of them only a person ends: tests play that person too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_platform.simulator.fault_spec import FaultKind, Value
from ib_platform.simulator.login_page import PAPER_USER_IN_LIVE_MODE
from ib_platform.states import PodState


@dataclass(frozen=True)
class LoginFailure:
    """The login of a streaming pod is gone, and this meets the next one, with a real browser.

    ``fault``: of the login page; None: something of ours is wrong. ``password``: what stands in the
    file, None = the right one. ``session``, ``login``: of ``gateway`` in the configuration.
    ``state``: what the supervisor tells, and ``says`` a part of its alarm, at most ``noticed``
    seconds after the login was lost. ``logins``: how many are counted by then. ``person``: what
    somebody has to do, None = nothing; ``back``: seconds from then, or else from the end of the
    fault, until everything is live again, at most. A lock outlives a restart in between.
    ``slow``: played in ``make test-long`` only, since other tests have the most of it.
    """

    name: str
    row: str
    what: str
    state: PodState
    says: str
    noticed: float
    logins: int
    person: str | None
    back: float
    pod_does: str
    fault: FaultKind | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    password: str | None = None
    session: Mapping[str, Any] = field(default_factory=dict)
    login: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = True


_LOCKS = "locks itself, over restarts too, and stops the gateway program"
_AT_ONCE = {"failed_logins": 1}
"""By default it is three refusals in a row, a minute and more apart."""

OF_LOGINS = (
    LoginFailure(
        name="second_factor",
        slow=False,
        row="3",
        what="the page asks a paper user for a second factor",
        fault=FaultKind.LOGIN_PAGE,
        parameters={"second_factor": "totp"},
        state=PodState.LOCKED,
        says="Paper users need none",
        noticed=90,
        logins=1,
        pod_does=_LOCKS,
        person="log in by hand and see what IBKR wants, correct the username; then unlock",
        back=120,
    ),
    LoginFailure(
        name="page_changed",
        row="3",
        what="the page has other elements",
        login={"page_timeout": 5, "locators": {"username": "#moved-elsewhere"}},
        state=PodState.NO_SSO,
        says="gateway.login.locators.username finds",
        noticed=90,
        logins=0,
        pod_does="keeps a picture of the page, tries again every minute; nothing is counted, since "
        "no password was sent",
        person="set the locator that the alarm names; then restart",
        back=120,
    ),
    LoginFailure(
        name="page_hangs",
        row="3",
        what="the page does not come",
        fault=FaultKind.HTTP_ERROR,
        parameters={"path": "/sso/Login", "latency": 15.0},
        login={"page_timeout": 5},
        state=PodState.NO_SSO,
        says="opening the login page",
        noticed=90,
        logins=0,
        pod_does="tries again every minute; nothing is counted",
        person=None,
        back=180,
    ),
    LoginFailure(
        name="wrong_password",
        row="13",
        what="IBKR refuses the password, `failed_logins` times in a row (1 here, 3 by default)",
        password="wrong, and never to be seen",
        session=_AT_ONCE,
        state=PodState.LOCKED,
        says="Invalid username password combination",
        noticed=90,
        logins=1,
        pod_does=_LOCKS,
        person="correct the password; then unlock",
        back=120,
    ),
    LoginFailure(
        name="user_locked",
        row="13",
        what="IBKR has locked the user, and refuses the right password too (1 time here)",
        fault=FaultKind.LOGIN_FAILS,
        parameters={"text": "Too many failed login attempts: this user has been locked."},
        session=_AT_ONCE,
        state=PodState.LOCKED,
        says="this user has been locked",
        noticed=90,
        logins=1,
        pod_does=_LOCKS,
        person="have IBKR unlock the user; then unlock",
        back=120,
    ),
    LoginFailure(
        name="paper_switch",
        row="15",
        what="the page says that its live/paper switch stands wrong, in either position (1 time "
        "here)",
        fault=FaultKind.LOGIN_FAILS,
        parameters={"text": PAPER_USER_IN_LIVE_MODE},
        session=_AT_ONCE,
        state=PodState.LOCKED,
        says="Please select the correct Login mode",
        noticed=120,
        logins=1,
        pod_does=f"tries the other position once, then {_LOCKS}",
        person="check that the username is a paper username; then unlock",
        back=120,
    ),
)
