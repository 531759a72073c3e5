"""What is kept of a failed login: its files, their modes, how many, and a disk that refuses."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page

from ib_platform.config_gateway import BrowserLogin
from ib_platform.gateway.browser import open_page, public_key_pin
from ib_platform.gateway.login_evidence import LoginEvidence
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform_tests.gateway.login_pods import NOW

pytestmark = pytest.mark.asyncio(loop_scope="module")
RESULT = LoginResult(LoginOutcome.REFUSED, "the page says: papera01 is locked")
SECRETS = ("hunter2", "papera01")
PNG = b"\x89PNG"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    folder = tmp_path_factory.mktemp("certificate")
    ensure_certificate(folder / "gateway.pem", folder / "gateway.key")
    async with open_page(BrowserLogin(), public_key_pin(folder / "gateway.pem")) as page:
        yield page


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_text_and_a_picture_for_the_owner_alone(page: Page, tmp_path: Path) -> None:
    await page.set_content("<title>Login</title><body>User PaperA01 is locked")
    folder = tmp_path / "pod" / "login_failures"
    file = await LoginEvidence(folder, 5, SECRETS).take(page, RESULT, NOW)
    assert file == folder / "20261125T143015.123456Z.txt"
    picture = file.with_suffix(".png")
    assert picture.read_bytes().startswith(PNG)
    assert [mode_of(path) for path in (folder, file, picture)] == [0o700, 0o600, 0o600]
    assert file.read_text() == (
        "outcome: refused\ndetail: the page says: <removed> is locked\n"
        "URL: about:blank\ntitle: Login\n\nUser \u2588\u2588\u2588 is locked\n"
    )


async def test_a_folder_that_was_open_is_closed(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "login_failures"
    folder.mkdir(mode=0o777)
    await LoginEvidence(folder, 5, SECRETS).take(page, RESULT, NOW)
    assert mode_of(folder) == 0o700


async def test_names_are_utc(page: Page, tmp_path: Path) -> None:
    chicago = NOW.astimezone(timezone(timedelta(hours=-6)))
    file = await LoginEvidence(tmp_path, 5, SECRETS).take(page, RESULT, chicago)
    assert file is not None
    assert file.name == "20261125T143015.123456Z.txt"


async def test_the_oldest_go(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("somebody's own")
    evidence = LoginEvidence(tmp_path, 2, SECRETS)
    for day in (3, 1, 2, 4):
        await evidence.take(page, RESULT, datetime(2026, 11, day, tzinfo=UTC))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20261103T000000.000000Z.png",
        "20261103T000000.000000Z.txt",
        "20261104T000000.000000Z.png",
        "20261104T000000.000000Z.txt",
        "notes.txt",
    ]


async def test_nothing_is_kept_if_nothing_is_wanted(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "login_failures"
    assert await LoginEvidence(folder, 0, SECRETS).take(page, RESULT, NOW) is None
    assert not folder.exists()


async def test_a_folder_that_cannot_be_written(
    page: Page, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "login_failures").write_text("in the way")
    evidence = LoginEvidence(tmp_path / "login_failures", 5, SECRETS)
    assert await evidence.take(page, RESULT, NOW) is None
    assert "what the login page showed is lost" in caplog.text


async def test_a_page_that_is_gone(page: Page, tmp_path: Path) -> None:
    gone = await page.context.new_page()
    await gone.close()
    file = await LoginEvidence(tmp_path, 5, SECRETS).take(gone, RESULT, NOW)
    assert file is not None
    assert "the page cannot be read: " in file.read_text()
    assert not file.with_suffix(".png").exists()
