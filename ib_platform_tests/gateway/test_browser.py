"""Finding Chromium, what it is started with, and whom it trusts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ib_platform.config_gateway import BrowserLogin
from ib_platform.errors import GatewayError, MissingDependencyError
from ib_platform.gateway.browser import (
    browser_environment,
    chromium_arguments,
    find_chromium,
    open_page,
    public_key_pin,
)
from ib_platform.ibkr.certificate import ensure_certificate


def program(folder: Path, name: str, mode: int = 0o755) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)
    return file


def test_chromium_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("google-chrome", "chromium-browser", "chromium"):
        file = program(tmp_path, name)
        assert find_chromium(None) == file


def test_a_configured_chromium_comes_first(tmp_path: Path) -> None:
    mine = program(tmp_path, "my-browser")
    assert find_chromium(mine) == mine


def test_no_chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "chromium", 0o644)
    with pytest.raises(MissingDependencyError, match="apt-get install chromium"):
        find_chromium(None)


@pytest.mark.parametrize("made", [False, True])
def test_a_configured_chromium_that_is_none(tmp_path: Path, made: bool) -> None:
    path = program(tmp_path, "browser", 0o644) if made else tmp_path / "browser"
    with pytest.raises(MissingDependencyError, match="gateway.login.chromium"):
        find_chromium(path)


async def test_no_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright.async_api", None)
    with pytest.raises(MissingDependencyError, match="pip install 'ib-platform.login.'"):
        async with open_page(BrowserLogin(), "pin"):
            pass


@pytest.mark.parametrize("names", ["pw:api", "mine,pw:*", "*"])
async def test_a_debug_setting_that_prints_passwords(
    monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    """Seen: with pw:api the driver prints the value of each `fill`."""
    monkeypatch.setenv("DEBUG", names)
    with pytest.raises(MissingDependencyError, match="DEBUG"):
        async with open_page(BrowserLogin(), "pin"):
            pass


def test_the_pin_is_of_the_key(tmp_path: Path) -> None:
    """A renewed certificate of the same key has the same pin; another key has another."""
    files = [(tmp_path / f"{name}.pem", tmp_path / f"{name}.key") for name in "ab"]
    for certificate, key in files:
        ensure_certificate(certificate, key)
    one, other = (public_key_pin(certificate) for certificate, _ in files)
    assert one != other
    assert len(one) == 44
    assert chromium_arguments(one)[-1] == f"--ignore-certificate-errors-spki-list={one}"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_no_certificate(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "gateway.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(GatewayError, match="start the gateway of this paper user first"):
        public_key_pin(file)


def test_the_browser_sees_few_variables(tmp_path: Path) -> None:
    ours = {"PATH": "/bin", "LANG": "C", "https_proxy": "p", "HOME": "/root", "TOKEN": "secret"}
    assert browser_environment(ours, tmp_path) == {
        "PATH": "/bin",
        "LANG": "C",
        "https_proxy": "p",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="Chromium has no sandbox for root")
async def test_the_sandbox_is_on_unless_switched_off() -> None:
    async with open_page(BrowserLogin(), "pin") as page:
        assert await page.evaluate("1 + 1") == 2
