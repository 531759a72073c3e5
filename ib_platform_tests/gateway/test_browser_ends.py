"""Browser and driver are gone after a login, however it ends."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ib_platform.config_gateway import BrowserLogin
from ib_platform.gateway.browser import open_page, public_key_pin
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform_tests.gateway.login_pods import (
    browser_processes,
    form,
    kind_of,
    login_pod,
    pod_with_page,
    silent_listener,
)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go. Its path is short: Chromium puts a socket below it."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


async def test_a_browser_that_is_closed_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    pin = public_key_pin(login_pod(tmp_path).paths.certificate)
    async with open_page(BrowserLogin(), pin) as page:
        assert await page.evaluate("1 + 1") == 2
        assert {"driver", "chromium"} <= {kind_of(process) for process in browser_processes()}
        assert list(temporary.iterdir())
    assert not browser_processes()
    assert not list(temporary.iterdir())


async def test_an_error_while_it_is_open_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    pin = public_key_pin(login_pod(tmp_path).paths.certificate)
    with pytest.raises(ZeroDivisionError):
        async with open_page(BrowserLogin(), pin):
            raise ZeroDivisionError
    assert not browser_processes()
    assert not list(temporary.iterdir())


async def test_a_cancelled_login_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    pod = login_pod(tmp_path)
    async with silent_listener(pod.user.gateway_port) as listener:
        login = asyncio.create_task(pod.log_in())
        await listener.connection_of(login)
        assert list(temporary.iterdir())
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
    assert not browser_processes()
    assert not list(temporary.iterdir())


async def test_a_login_cancelled_while_its_browser_starts(tmp_path: Path, temporary: Path) -> None:
    login = asyncio.create_task(login_pod(tmp_path).log_in())
    async with asyncio.timeout(60):
        while not browser_processes():  # noqa: ASYNC110
            await asyncio.sleep(0)
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login
    assert not browser_processes()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("victim", ["chromium", "driver"])
async def test_a_browser_or_driver_that_is_killed(
    tmp_path: Path, temporary: Path, victim: str
) -> None:
    pod = login_pod(tmp_path)
    async with silent_listener(pod.user.gateway_port) as listener:
        login = asyncio.create_task(pod.log_in())
        await listener.connection_of(login)
        killed = [process for process in browser_processes() if kind_of(process) == victim]
        assert killed
        for process in killed:
            process.kill()
        result = await login
    assert result.outcome is LoginOutcome.NO_BROWSER, result
    assert not result.submitted
    assert not browser_processes()
    assert not list(temporary.iterdir())


async def test_a_browser_that_dies_after_the_click_may_have_sent_the_password(
    tmp_path: Path, temporary: Path
) -> None:
    asked: list[str] = []
    async with pod_with_page(tmp_path, form("fetch('/clicked')"), asked=asked) as pod:
        login = asyncio.create_task(pod.log_in())
        async with asyncio.timeout(60):
            while "/clicked" not in asked:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for process in browser_processes():
            if kind_of(process) == "chromium":
                process.kill()
        result = await login
    assert result.outcome is LoginOutcome.NO_BROWSER, result
    assert result.submitted


async def test_a_driver_that_stands_still_is_killed(
    tmp_path: Path, temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pin = public_key_pin(login_pod(tmp_path).paths.certificate)
    async with open_page(BrowserLogin(), pin):
        for process in browser_processes():
            if kind_of(process) == "driver":
                process.suspend()
    assert not browser_processes()
    assert not list(temporary.iterdir())
    assert "did not end in order (TimeoutError)" in caplog.text


async def test_a_killed_supervisor_leaves_no_browser(tmp_path: Path, temporary: Path) -> None:
    """SIGKILL of the process that logs in: nobody is left who could end the browser. The next
    login removes its files."""
    pod = login_pod(tmp_path)
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from ib_platform_tests.gateway.login_pods import login_pod\n"
        "asyncio.run(login_pod(Path(sys.argv[1]), int(sys.argv[2])).log_in())\n"
    )
    port = pod.user.gateway_port
    async with silent_listener(port) as listener:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path), str(port)
        )
        await listener.connection_of(asyncio.create_task(child.wait()))
        browser = browser_processes()
        assert {"driver", "chromium"} <= {kind_of(process) for process in browser}
        child.kill()
        await child.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, browser, timeout=60)
        assert not alive
    assert list(temporary.glob("ib_platform_login.*"))
    pin = public_key_pin(pod.paths.certificate)
    async with open_page(BrowserLogin(), pin):
        assert len(list(temporary.glob("ib_platform_login.*"))) == 1
    assert not list(temporary.glob("ib_platform_login.*"))
