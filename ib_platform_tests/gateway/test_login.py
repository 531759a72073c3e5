"""Whole logins: real Chromium, the simulated gateway, and what the login says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config_gateway import BrowserLogin
from ib_platform.gateway.login import longest_login
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.login_page import FAILED, PAPER_USER_IN_LIVE_MODE
from ib_platform.simulator.second_factor import SecondFactor
from ib_platform_tests.gateway.login_pods import form, pod_with_page, simulated_pod
from ib_platform_tests.simulator.login_client import logged_out


@pytest.mark.parametrize("generation", PageGeneration)
@pytest.mark.parametrize("default_paper", [False, True])
async def test_a_paper_user_logs_in(
    tmp_path: Path, generation: PageGeneration, default_paper: bool
) -> None:
    page = LoginPageParameters(generation=generation, default_paper=default_paper)
    async with simulated_pod(tmp_path, logged_out(page)) as (pod, face):
        result = await pod.log_in()
        assert result.outcome is LoginOutcome.SUBMITTED, result
        assert result.evidence is None
        assert face.login is not None
        assert face.login.user.username == "papera01"
        assert pod.failures == []


async def test_a_page_without_a_switch(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path, logged_out(LoginPageParameters(toggle=False))) as (pod, _):
        assert (await pod.log_in()).outcome is LoginOutcome.SUBMITTED


async def test_an_advertisement_is_skipped(tmp_path: Path) -> None:
    page = LoginPageParameters(ibkey_promo=True)
    async with simulated_pod(tmp_path, logged_out(page)) as (pod, face):
        assert (await pod.log_in()).outcome is LoginOutcome.SUBMITTED
        assert face.login is not None


@pytest.mark.parametrize("generation", PageGeneration)
async def test_a_wrong_password(tmp_path: Path, generation: PageGeneration) -> None:
    page = LoginPageParameters(generation=generation)
    async with simulated_pod(tmp_path, logged_out(page)) as (pod, face):
        result = await pod.log_in(password="wrong")
        assert result.outcome is LoginOutcome.REJECTED
        assert result.submitted
        assert result.detail == "the page says: Invalid username password combination"
        assert face.login is None


async def test_a_rotated_password_is_read_at_the_next_login(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path) as (pod, _):
        right = pod.password_file.read_text()
        assert (await pod.log_in(password="old")).outcome is LoginOutcome.REJECTED
        assert (await pod.log_in(password=right + "\n")).outcome is LoginOutcome.SUBMITTED


async def test_a_locked_user(tmp_path: Path) -> None:
    behaviour = logged_out(lock_after=1)
    async with simulated_pod(tmp_path, behaviour) as (pod, _):
        right = pod.password_file.read_text()
        await pod.log_in(password="wrong")
        result = await pod.log_in(password=right)
        assert result.outcome is LoginOutcome.REFUSED
        assert behaviour.login_page.locked_text in result.detail


@pytest.mark.parametrize("text", [FAILED, "<b>Come back later</b>"])
async def test_any_other_error(tmp_path: Path, text: str) -> None:
    async with simulated_pod(tmp_path) as (pod, face):
        now = face.world.clock.now()
        face.world.faults.begin(FaultKind.LOGIN_FAILS, now, parameters={"text": text})
        result = await pod.log_in()
        assert (result.outcome, result.detail) == (
            LoginOutcome.REFUSED,
            f"the page says: {text}",
        )


INVERTED = f"""document.getElementById('toggle1').checked
? say('{PAPER_USER_IN_LIVE_MODE}') : (document.body.textContent = 'Client login succeeds')"""
SWITCH = '<input type="checkbox" id="toggle1"><label for="toggle1">Live</label>'


ALWAYS_WRONG = f"""localStorage.visits = 1 + Number(localStorage.visits || 0);
document.title = 'visit ' + localStorage.visits + (document.getElementById('toggle1').checked
? ' paper' : ' live'); say('{PAPER_USER_IN_LIVE_MODE}')"""


async def test_a_switch_that_stands_wrong_either_way_is_moved_once(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form(ALWAYS_WRONG, extra=SWITCH)) as pod:
        result = await pod.log_in()
        assert result.outcome is LoginOutcome.WRONG_MODE
        assert "Please select the correct Login mode" in result.detail
        assert result.evidence is not None
        assert "title: visit 2 live" in result.evidence.read_text()


async def test_a_wrong_mode_without_a_switch_is_final(tmp_path: Path) -> None:
    without = ALWAYS_WRONG.replace("document.getElementById('toggle1').checked", "false")
    async with pod_with_page(tmp_path, form(without)) as pod:
        result = await pod.log_in()
        assert result.outcome is LoginOutcome.WRONG_MODE
        assert result.evidence is not None
        assert "title: visit 1 live" in result.evidence.read_text()


async def test_a_switch_that_means_the_reverse_is_moved_once(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form(INVERTED, extra=SWITCH)) as pod:
        assert (await pod.log_in()).outcome is LoginOutcome.SUBMITTED


async def test_a_live_user_is_never_logged_in_by_moving_the_switch(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path) as (pod, face):
        result = await pod.log_in(username="live-none")
        assert result.outcome is LoginOutcome.WRONG_MODE
        assert face.login is None


async def test_a_switch_whose_position_cannot_be_read_is_not_submitted(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path) as (pod, face):
        result = await pod.log_in(locators={"toggle_state": "#no-such-switch"})
        assert result.outcome is LoginOutcome.PAGE_CHANGED
        assert "gateway.login.locators.toggle_state" in result.detail
        assert face.login is None


async def test_a_switch_that_does_not_move(tmp_path: Path) -> None:
    switch = SWITCH.replace("<label", "<label onclick='return false'")
    async with pod_with_page(tmp_path, form(extra=switch)) as pod:
        result = await pod.log_in(BrowserLogin(page_timeout=60, step_timeout=10))
        assert result.outcome is LoginOutcome.PAGE_CHANGED
        assert "does not move" in result.detail


BRONZE, SILVER = "xyz-field-bronze-response", "xyz-field-silver-response"


@pytest.mark.parametrize(
    ("factor", "code_field"),
    [
        (SecondFactor.TOTP, BRONZE),
        (SecondFactor.TOTP, SILVER),
        (SecondFactor.SELECT, SILVER),
        (SecondFactor.PUSH, BRONZE),
    ],
)
async def test_a_second_factor_stops_the_login(
    tmp_path: Path, factor: SecondFactor, code_field: str
) -> None:
    page = LoginPageParameters(
        second_factor_for_paper=factor,
        code_field=code_field,
        device_field=code_field,
        push_confirmed_after=None,
    )
    async with simulated_pod(tmp_path, logged_out(page)) as (pod, face):
        result = await pod.log_in()
        assert result.outcome is LoginOutcome.SECOND_FACTOR
        assert "live user" in result.detail
        assert face.login is None


def test_the_longest_login_is_the_sum_of_its_steps() -> None:
    assert longest_login(BrowserLogin(page_timeout=30, step_timeout=20)) == (
        20 + 30 + 10 + 15 + 2 * (30 + 3 * 20)
    )
