"""Logins that get no answer, or not the one they need: gateway, page, browser and credentials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ib_platform.config_gateway import BrowserLogin
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform_tests.gateway.login_pods import (
    HASTY,
    PATIENT,
    browser_processes,
    form,
    login_pod,
    pod_with_page,
    silent_listener,
    simulated_pod,
)
from ib_platform_tests.ports import free_port

HANGS = BrowserLogin(page_timeout=60, step_timeout=10)


async def test_nobody_listens(tmp_path: Path) -> None:
    result = await login_pod(tmp_path).log_in()
    assert result.outcome is LoginOutcome.NOT_REACHED
    assert not result.submitted
    assert "ERR_CONNECTION_REFUSED" in result.detail
    assert result.evidence is not None


async def test_a_gateway_with_another_certificate(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path) as (pod, face):
        # The listener has loaded its own; the pod now expects this one.
        for file in (pod.paths.certificate, pod.paths.private_key):
            file.unlink()
        ensure_certificate(pod.paths.certificate, pod.paths.private_key)
        result = await pod.log_in()
        assert result.outcome is LoginOutcome.NOT_REACHED
        assert not result.submitted
        assert "ERR_CERT_AUTHORITY_INVALID" in result.detail
        assert face.login is None


async def test_no_certificate_yet(tmp_path: Path) -> None:
    pod = login_pod(tmp_path)
    pod.paths.certificate.unlink()
    result = await pod.log_in()
    assert result.outcome is LoginOutcome.NOT_REACHED
    assert not result.submitted
    assert str(pod.paths.certificate) in result.detail


async def test_a_gateway_that_accepts_and_says_nothing(tmp_path: Path) -> None:
    pod = login_pod(tmp_path)
    async with silent_listener(pod.user.gateway_port) as listener:
        login = asyncio.create_task(pod.log_in(HASTY))
        await listener.connection_of(login)
        result = await login
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert not result.submitted
    assert "opening the login page" in result.detail
    assert result.evidence is not None
    assert "about:blank" in result.evidence.read_text(), "the page does answer, it is empty"


async def test_no_answer_to_the_click(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form()) as pod:
        result = await pod.log_in(HANGS)
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert result.submitted
    assert "waiting for the answer to the click on gateway.login.locators.submit" in result.detail
    assert result.evidence is not None


async def test_a_page_whose_script_never_rests(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form(busy=True)) as pod:
        result = await pod.log_in(HASTY)
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert not result.submitted
    assert not browser_processes()


async def test_a_script_that_never_rests_after_the_click(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form("while (true) {}")) as pod:
        result = await pod.log_in(BrowserLogin(page_timeout=30, step_timeout=2))
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert result.submitted
    assert result.evidence is not None
    assert "did not answer" in result.evidence.read_text()
    assert not result.evidence.with_suffix(".png").exists()
    assert not browser_processes()


async def test_a_page_that_does_not_load_to_its_end(tmp_path: Path) -> None:
    """Half of the page is there: its missing field may have been in the other half."""
    port = free_port()
    half = f'<title>Half</title><p>Loading<img src="http://127.0.0.1:{port}/logo.png">'
    async with silent_listener(port), pod_with_page(tmp_path, half) as pod:
        result = await pod.log_in(HASTY)
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert not result.submitted
    assert result.detail == "the login page did not load to its end"
    assert result.evidence is not None
    assert "Loading" in result.evidence.read_text()


@pytest.mark.parametrize("name", ["username", "password", "submit"])
async def test_a_page_that_changed(tmp_path: Path, name: str) -> None:
    async with simulated_pod(tmp_path) as (pod, face):
        settings = BrowserLogin(page_timeout=10, step_timeout=60)
        result = await pod.log_in(settings, locators={name: "#moved-elsewhere"})
        assert result.outcome is LoginOutcome.PAGE_CHANGED
        assert not result.submitted
        assert f"gateway.login.locators.{name} finds (#moved-elsewhere)" in result.detail
        assert result.evidence is not None
        assert "Log in" in result.evidence.read_text()
        assert face.login is None


async def test_a_locator_that_is_none(tmp_path: Path) -> None:
    async with simulated_pod(tmp_path) as (pod, _):
        result = await pod.log_in(locators={"username": "##"})
        assert result.outcome is LoginOutcome.PAGE_CHANGED
        assert not result.submitted
        assert "looking for gateway.login.locators.username" in result.detail


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(503, LoginOutcome.PAGE_HANGS), (404, LoginOutcome.PAGE_CHANGED)],
)
async def test_an_http_error_instead_of_the_page(
    tmp_path: Path, status: int, outcome: LoginOutcome
) -> None:
    async with pod_with_page(tmp_path, "<p>Access Denied", status) as pod:
        result = await pod.log_in()
    assert (result.outcome, result.detail) == (outcome, f"HTTP {status} instead of the login page")
    assert not result.submitted


async def test_no_credentials(tmp_path: Path) -> None:
    pod = login_pod(tmp_path)
    pod.password_file.chmod(0o644)
    result = await pod.log_in()
    assert result.outcome is LoginOutcome.NO_CREDENTIALS
    assert not result.submitted
    assert "chmod 600" in result.detail
    assert result.evidence is None


async def test_no_chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = await login_pod(tmp_path).log_in()
    assert result.outcome is LoginOutcome.NO_BROWSER
    assert not result.submitted
    assert "apt-get install chromium" in result.detail


async def test_a_program_that_is_no_chromium(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o700)
    settings = PATIENT.model_copy(update={"chromium": program})
    result = await login_pod(tmp_path).log_in(settings)
    assert result.outcome is LoginOutcome.NO_BROWSER
    assert not result.submitted
    assert "did not start" in result.detail
    assert not browser_processes()
