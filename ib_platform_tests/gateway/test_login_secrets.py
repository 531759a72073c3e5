"""The password is nowhere but in the page: no log, error, result, file, picture or process."""

from __future__ import annotations

import asyncio
import gc
import html
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from ib_platform.config_gateway import BrowserLogin
from ib_platform.gateway.browser import open_page, public_key_pin
from ib_platform.gateway.login_evidence import LoginEvidence
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform_tests.gateway.login_pods import (
    NOW,
    PATIENT,
    LoginPod,
    form,
    login_pod,
    pod_with_page,
    simulated_pod,
)
from ib_platform_tests.simulator.login_client import PASSWORD

STEP = BrowserLogin(page_timeout=60, step_timeout=10)
HTML_PASSWORD = "Zq7-hunter2&<'x"
ECHO = """const typed = document.querySelector('[name=password]').value;
document.title = typed; say('no entry for ' + typed); history.replaceState(0, 0, '?' + typed)"""
LOCKED_FIELD = '<script>document.querySelector("[name=password]").disabled = true</script>'


def in_processes(secret: str) -> bool:
    """Whether a descendant of this process has it in its command line or environment."""
    found = False
    for process in psutil.Process().children(recursive=True):
        try:
            found |= secret in " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.NoSuchProcess:
            continue
    return found


@asynccontextmanager
async def watched_processes(secret: str) -> AsyncIterator[list[int]]:
    """Looks at the descendants as long as the block runs; one entry a look. Fails on the secret."""
    looks: list[int] = []

    async def look() -> None:
        while True:
            assert not in_processes(secret)
            looks.append(len(psutil.Process().children(recursive=True)))
            await asyncio.sleep(0.02)

    watcher = asyncio.create_task(look())
    try:
        yield looks
        assert not watcher.done(), watcher.result()
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def test_a_login_tells_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with simulated_pod(tmp_path) as (pod, _), watched_processes(PASSWORD) as looks:
        assert (await pod.log_in()).outcome is LoginOutcome.SUBMITTED
        assert max(looks) > 2, "driver and browser were among them"
    captured = capfd.readouterr()
    assert PASSWORD not in caplog.text + captured.out + captured.err


async def test_a_page_that_shows_what_was_typed(tmp_path: Path) -> None:
    async with pod_with_page(tmp_path, form(ECHO)) as pod:
        result = await pod.log_in(password=HTML_PASSWORD)
    assert result.outcome is LoginOutcome.REFUSED
    assert result.detail == "the page says: no entry for <removed>"
    assert result.evidence is not None
    text = result.evidence.read_text()
    assert text.count("no entry for") == 2, "the detail, and the page"
    assert "\N{FULL BLOCK}" in text
    for form_of_it in (HTML_PASSWORD, "Zq7", html.escape(HTML_PASSWORD), quote(HTML_PASSWORD)):
        assert form_of_it not in text + repr(result)
    assert "\nURL: https://127.0.0.1:" in text
    assert "?" not in text


async def test_an_error_of_playwright_that_quotes_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """``fill`` that waits for a disabled field logs the value; seen in its message."""
    caplog.set_level(logging.DEBUG)
    async with pod_with_page(tmp_path, form(extra=LOCKED_FIELD)) as pod:
        result = await pod.log_in(STEP)
    assert result.outcome is LoginOutcome.PAGE_HANGS
    assert result.detail == "typing the password: no answer in time"
    assert PASSWORD not in caplog.text + repr(result)
    assert result.evidence is not None
    assert PASSWORD not in result.evidence.read_text()


async def test_a_login_cancelled_while_it_types(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pod_with_page(tmp_path, form(extra=LOCKED_FIELD)) as pod:
        login = asyncio.create_task(pod.log_in())
        async with asyncio.timeout(60):
            while not waits_in(login, "fill"):  # noqa: ASYNC110
                await asyncio.sleep(0)
        login.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await login
    # Errors that nobody fetched are logged when they are collected.
    gc.collect()
    await asyncio.sleep(0)
    assert PASSWORD not in caplog.text
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def waits_in(task: asyncio.Task[LoginResult], name: str) -> bool:
    """Whether a coroutine of that name stands in the chain that ``task`` waits in."""
    waiting: object = task.get_coro()
    while waiting is not None:
        if getattr(waiting, "__name__", "") == name and "Locator" in getattr(
            waiting, "__qualname__", ""
        ):
            return True
        waiting = getattr(waiting, "cr_await", None)
    return False


async def pixels(pod: LoginPod, html: str, folder: Path, secret: str) -> bytes:
    """The picture that is kept of a page with this content."""
    evidence = LoginEvidence(folder, 10, [secret])
    async with open_page(PATIENT, public_key_pin(pod.paths.certificate)) as page:
        await page.set_content(html)
        file = await evidence.take(page, LoginResult(LoginOutcome.REFUSED, ""), NOW)
        assert await page.locator("[name=password]").input_value() == ""
    assert file is not None
    return file.with_suffix(".png").read_bytes()


async def test_a_picture_is_the_same_whatever_the_secret(tmp_path: Path) -> None:
    """In a readable field, in the text and in a frame: the pixels do not depend on it."""
    page = (
        '<input name="password" value="{0}"><textarea>{0}</textarea><p>no entry for {0}</p>'
        "<iframe srcdoc='<input value=\"{0}\">{0}'></iframe>"
    )
    pod = login_pod(tmp_path)
    one = await pixels(pod, page.format("first"), tmp_path / "1", "first")
    other = await pixels(pod, page.format("another-one"), tmp_path / "2", "another-one")
    assert one == other
    plain = await pixels(pod, page.format("first"), tmp_path / "3", "not-it")
    assert plain != one, "the pictures do show the text"
