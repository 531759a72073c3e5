"""Log a paper user in at its gateway, with a real browser, and say what came of it.

Nothing is decided here and nothing is tried again, but for the one case in which the page itself
says that its live/paper switch stands wrong. Whether somebody is logged in, only ``auth/status``
tells; whether as a paper user, only the proofs of ``ib_platform.ibkr.proof``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ib_platform.config import PaperUser
from ib_platform.config_gateway import BrowserLogin
from ib_platform.credentials import LoginCredentials, read_credentials
from ib_platform.errors import GatewayError, MissingDependencyError, PlatformError
from ib_platform.gateway.browser import END_TIMEOUT, START_TIMEOUT, open_page, public_key_pin
from ib_platform.gateway.login_evidence import EVIDENCE_TIMEOUT, LoginEvidence
from ib_platform.gateway.redaction import Redactor, first_line
from ib_platform.ibkr.login_outcome import (
    LoginOutcome,
    LoginResult,
    outcome_of_error,
    says_paper_user_in_live_mode,
)
from ib_platform.paths import PodPaths

if TYPE_CHECKING:
    from playwright.async_api import Page

    from ib_platform.gateway.login_page import Answer, LoginPage

_LONGEST_DETAIL = 400
_VISITS = 2
_STEPS = 3
_GONE = ("has been closed", "Target crashed", "Page crashed", "Connection closed")


def longest_login(settings: BrowserLogin) -> float:
    """Seconds that ``log_in`` never exceeds: reading the credentials, starting the browser, two
    visits of the page (``_visits_budget``), the evidence, and the end of the browser."""
    others = START_TIMEOUT + EVIDENCE_TIMEOUT + END_TIMEOUT
    return settings.step_timeout + others + _visits_budget(settings)


async def log_in(
    user: PaperUser, settings: BrowserLogin, paths: PodPaths, *, now: Callable[[], datetime]
) -> LoginResult:
    """One login of ``user`` at the gateway on 127.0.0.1, port ``user.gateway_port``.

    ``paths.certificate`` is the gateway's; no other is trusted. ``now`` gives an aware instant,
    for the names of the files in ``paths.login_failures``. Takes at most ``longest_login``.

    Everything that can go wrong is an outcome; only a cancellation is raised, once the browser
    is gone.
    """
    try:
        async with asyncio.timeout(settings.step_timeout):
            # A keyring may ask somebody to unlock it.
            credentials = await asyncio.to_thread(read_credentials, user)
    except PlatformError as error:
        return _not_begun(LoginOutcome.NO_CREDENTIALS, str(error))
    except TimeoutError:
        detail = f"the credentials were not read within {settings.step_timeout:.0f} s"
        return _not_begun(LoginOutcome.NO_CREDENTIALS, detail)
    try:
        pin = public_key_pin(paths.certificate)
    except GatewayError as error:
        return _not_begun(LoginOutcome.NOT_REACHED, str(error))
    secrets = (credentials.password.get_secret_value(), credentials.username)
    url = f"https://127.0.0.1:{user.gateway_port}{settings.path}"
    login_page: LoginPage | None = None
    try:
        async with open_page(settings, pin) as page:
            login_page = _login_page(page, settings, url)
            result = _redacted(await _visit(login_page, settings, credentials), Redactor(secrets))
            if result.outcome is LoginOutcome.SUBMITTED:
                return result
            result = replace(result, submitted=login_page.submitted)
            evidence = LoginEvidence(paths.login_failures, settings.keep_failures, secrets)
            return replace(result, evidence=await evidence.take(page, result, now()))
    except (MissingDependencyError, GatewayError) as error:
        # The browser may have died after the click.
        submitted = login_page is not None and login_page.submitted
        return LoginResult(LoginOutcome.NO_BROWSER, str(error), submitted=submitted)


def _not_begun(outcome: LoginOutcome, detail: str) -> LoginResult:
    return LoginResult(outcome, detail, submitted=False)


def _login_page(page: Page, settings: BrowserLogin, url: str) -> LoginPage:
    from ib_platform.gateway.login_page import LoginPage

    return LoginPage(page, settings, url)


def _visits_budget(settings: BrowserLogin) -> float:
    """Two visits (the second for a switch that stood wrong), each with the page and three steps:
    typing, the click, and the click past an advertisement."""
    return _VISITS * (settings.page_timeout + _STEPS * settings.step_timeout)


async def _visit(
    login_page: LoginPage, settings: BrowserLogin, credentials: LoginCredentials
) -> LoginResult:
    from playwright.async_api import Error
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError

    from ib_platform.gateway.login_page import LoginStopped

    try:
        # A page whose script never rests answers nothing, not even a question without a limit.
        async with asyncio.timeout(_visits_budget(settings)):
            return await _submitted(login_page, credentials)
    except LoginStopped as stopped:
        return LoginResult(stopped.outcome, stopped.detail)
    except (TimeoutError, PlaywrightTimeoutError):
        return LoginResult(LoginOutcome.PAGE_HANGS, f"{login_page.doing}: no answer in time")
    except Error as error:
        line = first_line(error)
        return LoginResult(_outcome_of_failure(line), f"{login_page.doing}: {line}")


async def _submitted(page: LoginPage, credentials: LoginCredentials) -> LoginResult:
    await page.open()
    has_switch = await page.fill(credentials, checked=True)
    answer = await page.submit()
    if has_switch and says_paper_user_in_live_mode(answer.text):
        # Whether checked means paper, is what clients in the field take it for. Here it does not.
        await page.open()
        await page.fill(credentials, checked=False)
        answer = await page.submit()
    return _result_of(answer)


def _result_of(answer: Answer) -> LoginResult:
    from ib_platform.gateway.login_page import AnswerKind

    match answer.kind:
        case AnswerKind.SUCCESS:
            detail = "the page says success, which proves nothing yet"
            return LoginResult(LoginOutcome.SUBMITTED, detail)
        case AnswerKind.SECOND_FACTOR:
            return LoginResult(
                LoginOutcome.SECOND_FACTOR,
                "the page asks for a second factor. No paper user is asked for one: is this the "
                "username of a live user?",
            )
        case AnswerKind.ERROR:
            return LoginResult(outcome_of_error(answer.text), f"the page says: {answer.text}")
        case AnswerKind.PROMO:
            raise AssertionError("submit() goes past it")


def _outcome_of_failure(line: str) -> LoginOutcome:
    """Meaning of a Playwright error. ``net::`` names are Chromium's (net_error_list.h)."""
    if "net::ERR_HTTP_RESPONSE_CODE_FAILURE" in line or "net::ERR_TIMED_OUT" in line:
        return LoginOutcome.PAGE_HANGS
    if "net::" in line:
        return LoginOutcome.NOT_REACHED
    if any(words in line for words in _GONE):
        return LoginOutcome.NO_BROWSER
    return LoginOutcome.PAGE_CHANGED


def _redacted(result: LoginResult, redact: Redactor) -> LoginResult:
    detail = redact(" ".join(result.detail.split()))
    if len(detail) > _LONGEST_DETAIL:
        detail = detail[:_LONGEST_DETAIL] + " ..."
    return replace(result, detail=detail)
