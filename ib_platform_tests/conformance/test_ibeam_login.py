"""ibeam against the simulator: its headless Chromium on the login page, and its maintenance.

Its default maintenance every 60 s is what ``sso/validate`` allows (1 a minute). Here it looks every
few seconds, so the simulator leaves the limits of single endpoints out (``endpoint_limits``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_platform_tests.conformance.ibeam_process import ibeam
from ib_platform_tests.conformance.simulator_process import simulator

OFTEN = {"MAINTENANCE_INTERVAL": "4"}
UNLIMITED = {"endpoint_limits": False}
RUNNING = "Gateway running and authenticated"


def _logged_out(**page: Any) -> dict[str, Any]:
    """A gateway that nobody has logged in to, with this login page."""
    return {
        "gateway": {"logged_in": False, "auth_delay": 0.5},
        "login_page": page,
        "pacing": UNLIMITED,
    }


def test_the_paper_toggle_a_login_and_a_brokerage_session_that_drops(tmp_path: Path) -> None:
    """The page stands on live: ibeam is told so, switches to paper, logs in. Then the session drops
    and ibeam's next maintenance brings it back."""
    page = _logged_out(generation="first", toggle=True, default_paper=False)
    with simulator(tmp_path, **page) as running, ibeam(running, tmp_path, **OFTEN) as client:
        client.says("No active sessions, logging in")
        client.says("Switching to paper mode and reattempting")
        client.says("Logging in succeeded")
        client.says(RUNNING)
        assert (client.health("/livez"), client.health("/readyz")) == (200, 200)
        session = running.session()
        assert (session["authenticated"], session["competing"]) == (True, False)
        assert client.count("Login attempt number") == 1, "one form, switched and sent again"
        assert client.count("Invalid username password") == 0
        running.fault("brokerage_lost")
        assert client.health("/readyz") == 503, "it asks the gateway for each answer"
        client.says("Active session found but not authenticated, reauthenticating")
        client.says_again(RUNNING)
        assert client.health("/readyz") == 200
        assert running.session()["authenticated"] is True
        assert client.count("Validation result is False") == 0
        assert running.process.poll() is None, "it had no reason to end its gateway"


def test_paper_mode_from_the_start_and_a_login_that_is_lost(tmp_path: Path) -> None:
    """The other generation of the page. A 401 at a maintenance makes ibeam log in again."""
    page = _logged_out(generation="second", toggle=True, default_paper=False)
    with (
        simulator(tmp_path, **page) as running,
        ibeam(running, tmp_path, USE_PAPER_ACCOUNT="true", **OFTEN) as client,
    ):
        client.says(RUNNING)
        assert client.count("Error displayed") == 0
        assert running.session()["authenticated"] is True
        running.fault("login_lost")
        assert client.health("/readyz") == 503
        client.says("No active sessions, logging in", times=2)
        client.says_again(RUNNING)
        assert client.health("/readyz") == 200
        assert running.session()["authenticated"] is True


def test_a_wrong_password_ends_it_before_the_user_is_locked(tmp_path: Path) -> None:
    page = _logged_out(generation="first", toggle=False)
    with (
        simulator(tmp_path, **page) as running,
        ibeam(running, tmp_path, PASSWORD="wrong", MAX_FAILED_AUTH="2", **OFTEN) as client,
    ):
        client.says("Error displayed by the login webpage: Invalid username password combination")
        client.says("Maximum number of failed authentication attempts")
        client.says("Shutting IBeam down due to critical error")
        assert client.count("Invalid username password combination") == 2
        me = running.me()
        assert (me["logins"], me["locked"]) == ([], False)
        assert client.process.wait(60) == 0


@pytest.mark.long
def test_a_live_user_with_a_time_based_code(tmp_path: Path) -> None:
    """ibeam computes the code itself; it waits for a fresh one when the old one is about to end."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    live = {
        "username": "livea01",
        "password": "live password",
        "account": "U1000001",
        "kind": "live",
        "second_factor": "totp",
        "totp_secret": secret,
    }
    code = {"TWO_FA_HANDLER": "PYOTP", "PYOTP_SECRET": secret}
    who = {"ACCOUNT": live["username"], "PASSWORD": live["password"]}
    page = _logged_out(generation="first")
    with (
        simulator(tmp_path, users=[live], **page) as running,
        ibeam(running, tmp_path, **who, **code, **OFTEN) as client,
    ):
        client.says("Gateway requires two-factor authentication")
        client.says(RUNNING)
        users = {user["username"]: user["logins"] for user in running.users()}
        assert [login["authenticated"] for login in users["livea01"]] == [True]
        assert users[running.user.username] == []


@pytest.mark.long
def test_a_competing_session_is_taken_back(tmp_path: Path) -> None:
    with (
        simulator(tmp_path, pacing=UNLIMITED) as running,
        ibeam(running, tmp_path, **OFTEN) as client,
    ):
        client.says(RUNNING)
        running.fault("competing_login", parameters={"stays": 20})
        assert running.session()["competing"] is True
        assert client.health("/readyz") == 503
        client.says("Competing or disconnected Gateway session found")
        client.says("Gateway logout successful")
        client.says_again(RUNNING)
        assert client.health("/readyz") == 200
        assert running.session()["competing"] is False


@pytest.mark.long
def test_a_session_that_never_authenticates_makes_it_end_its_gateway(tmp_path: Path) -> None:
    """Its last resort. It would start Java then: the simulator stays away in this test."""
    patience = {"MAX_STATUS_CHECK_RETRIES": "3", "MAX_REAUTHENTICATE_RETRIES": "2"}
    with (
        simulator(tmp_path, pacing=UNLIMITED, survives=False) as running,
        ibeam(running, tmp_path, **patience, **OFTEN) as client,
    ):
        client.says(RUNNING)
        running.fault("authentication_stuck")
        running.fault("brokerage_lost")
        client.says("Active session found but not authenticated, reauthenticating")
        client.says("Repeatedly reauthenticating failed 2 times. Killing the Gateway")
        assert running.process.wait(30) == 0, "a SIGTERM ends the simulator in order"
