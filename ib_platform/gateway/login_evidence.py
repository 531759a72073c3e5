"""What the page looked like when a login failed, kept as a picture and a text without secrets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ib_platform.gateway.redaction import Redactor, first_line
from ib_platform.ibkr.login_outcome import LoginResult

if TYPE_CHECKING:
    from playwright.async_api import Page

logger = logging.getLogger(__name__)
EVIDENCE_TIMEOUT = 10.0
"""Seconds for picture and text together; a page that hangs gives neither."""
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.(png|txt)")
_FIELDS = "input, textarea, select"
_EMPTY_FIELDS = """fields => { for (const field of fields) {
  field.removeAttribute("value");
  if (field.tagName !== "SELECT") field.value = "";
} }"""
_BLACKEN_TEXTS = r"""secrets => {
  const escaped = secrets.map(secret => secret.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const any = new RegExp(escaped.join("|"), "gi");
  const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode())
    if (node.data.search(any) >= 0) node.data = node.data.replace(any, "\u2588\u2588\u2588");
}"""


class LoginEvidence:
    """Keeps the newest ``keep`` failures in ``folder`` (mode 0700, its files 0600): ``.txt`` and
    ``.png`` named after the UTC instant. ``secrets`` are in neither."""

    def __init__(self, folder: Path, keep: int, secrets: Sequence[str]) -> None:
        self._folder = folder
        self._keep = keep
        # Of two that overlap, the longer one has to be found.
        self._secrets = sorted(filter(str.strip, secrets), key=len, reverse=True)
        self._redact = Redactor(secrets)

    async def take(self, page: Page, result: LoginResult, now: datetime) -> Path | None:
        """The text file about ``page`` as it is now; None: nothing is kept, or can be.

        The fields of the page are empty afterwards. ``now`` is an aware instant. What goes wrong
        here is said in the text or in the log, and changes nothing about the login's result.
        """
        if not self._keep:
            return None
        picture: bytes | None = None
        try:
            async with asyncio.timeout(EVIDENCE_TIMEOUT):
                await _stop_loading(page)
                await self._wipe(page)
                picture = await self._picture(page)
                seen = await _described(page)
        except TimeoutError:
            seen = f"(the page did not answer within {EVIDENCE_TIMEOUT:.0f} s)"
        except _playwright_error() as error:
            seen = f"(the page cannot be read: {first_line(error)})"
        text = f"outcome: {result.outcome}\ndetail: {result.detail}\n{seen}\n"
        name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        try:
            return self._write(name, self._redact(text), picture)
        except OSError as error:
            logger.warning("%s: what the login page showed is lost (%s)", self._folder, error)
            return None

    async def _wipe(self, page: Page) -> None:
        """No picture is taken of a page that does not let itself be wiped."""
        for frame in page.frames:
            await frame.locator(_FIELDS).evaluate_all(_EMPTY_FIELDS)
            if self._secrets:
                await frame.evaluate(_BLACKEN_TEXTS, self._secrets)

    async def _picture(self, page: Page) -> bytes:
        return await page.screenshot(
            mask=[frame.locator(_FIELDS) for frame in page.frames],
            animations="disabled",
            timeout=EVIDENCE_TIMEOUT * 1000,
        )

    def _write(self, name: str, text: str, picture: bytes | None) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if picture is not None:
            _write_private(self._folder / f"{name}.png", picture)
        file = self._folder / f"{name}.txt"
        _write_private(file, text.encode())
        self._forget_oldest()
        return file

    def _forget_oldest(self) -> None:
        files = [file for file in self._folder.iterdir() if _NAME.fullmatch(file.name)]
        instants = sorted({file.stem for file in files}, reverse=True)
        for file in files:
            if file.stem not in instants[: self._keep]:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()


async def _stop_loading(page: Page) -> None:
    """A page on its way to another one answers nothing until it has arrived."""
    session = await page.context.new_cdp_session(page)
    await session.send("Page.stopLoading")
    await session.detach()


async def _described(page: Page) -> str:
    text = await page.locator("body").inner_text(timeout=EVIDENCE_TIMEOUT * 1000)
    return f"URL: {_without_query(page.url)}\ntitle: {await page.title()}\n\n{text.strip()}"


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query="", fragment="").geturl()


def _write_private(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _playwright_error() -> type[Exception]:
    from playwright.async_api import Error

    return Error
