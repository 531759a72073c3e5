"""A headless Chromium for one login: found, started, and ended whatever happens.

Playwright drives it (docs/decisions, number 8). The browser trusts the public key of the gateway's
own certificate and no other self-signed one. Its profile, caches and temporary files lie in one
folder that goes with it. One browser at a time in a process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ib_platform.config_gateway import BrowserLogin
from ib_platform.errors import GatewayError, MissingDependencyError
from ib_platform.gateway.browser_folder import BrowserFolder, remove_abandoned
from ib_platform.gateway.browser_processes import KILL_TIMEOUT, BrowserProcesses
from ib_platform.gateway.redaction import first_line
from ib_platform.gateway.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Playwright

logger = logging.getLogger(__name__)
START_TIMEOUT = 30.0
"""Seconds that driver and browser may take together until there is a page."""
_ORDERLY_END = 10.0
END_TIMEOUT = _ORDERLY_END + KILL_TIMEOUT
"""Seconds for the end: in order first, then by force."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_SMALL = (
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-quic",
    # Containers have 64 MB of shared memory.
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--renderer-process-limit=1",
)


def find_chromium(configured: Path | None) -> Path:
    """The program: ``configured``, else the first of chromium, chromium-browser, google-chrome.

    Raises:
        MissingDependencyError: there is none.
    """
    if configured is not None:
        if not (configured.is_file() and os.access(configured, os.X_OK)):
            raise MissingDependencyError(
                f"gateway.login.chromium: {configured} is no program. Correct it, or remove the "
                "setting: then Chromium is looked for on PATH."
            )
        return configured
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise MissingDependencyError(
        f"no Chromium for the login: none of {', '.join(_NAMES)} is on PATH. Install it with "
        "`apt-get install chromium` (Debian, Ubuntu), or set gateway.login.chromium."
    )


def public_key_pin(certificate: Path) -> str:
    """Base64 of the SHA-256 of the certificate's public key (SubjectPublicKeyInfo).

    Raises:
        GatewayError: the file is missing or holds no certificate.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise GatewayError(
            f"{certificate}: no usable gateway certificate. The gateway writes it when it starts: "
            "start the gateway of this paper user first."
        ) from error
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def chromium_arguments(pin: str) -> list[str]:
    """What Chromium is started with besides Playwright's own. Holds no secret."""
    return [*_SMALL, f"--ignore-certificate-errors-spki-list={pin}"]


def browser_environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables that Chromium sees: no tokens of ours, and a home that goes with it."""
    kept = {name: value for name, value in variables.items() if name.upper() in _VARIABLES}
    return kept | {"HOME": str(folder), "TMPDIR": str(folder)}


@asynccontextmanager
async def open_page(settings: BrowserLogin, pin: str) -> AsyncIterator[Page]:
    """An empty page of a new browser, which is gone afterwards with its driver and its files.

    ``pin`` (see ``public_key_pin``) is the only key of a self-signed certificate that it trusts.
    Starting and ending are finished also when the task is cancelled meanwhile; ending takes at
    most ``END_TIMEOUT``.

    Raises:
        MissingDependencyError: Chromium or Playwright is not installed.
        GatewayError: the browser does not start, or not within ``START_TIMEOUT``.
    """
    driver = _playwright()
    for folder in await asyncio.to_thread(remove_abandoned):
        logger.info("removed %s, which a killed login had left", folder)
    browser = _Browser(settings, find_chromium(settings.chromium), pin, driver())
    try:
        yield await uninterrupted(browser.start())
    finally:
        await uninterrupted(browser.end())


def _playwright() -> Callable[[], AbstractAsyncContextManager[Playwright]]:
    # The library is an extra, and large: it is loaded by whoever logs in.
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise MissingDependencyError(
            "the browser login needs the Python package playwright. Install it with "
            "`pip install 'ib-platform[login]'`; the browsers that it offers are not needed."
        ) from error
    if any(name.strip().startswith("pw") or "*" in name for name in _debugged()):
        raise MissingDependencyError(
            "the environment variable DEBUG makes Playwright print what it types, passwords too. "
            "Unset it: nobody logs in with it."
        )
    return async_playwright


def _debugged() -> list[str]:
    return os.environ.get("DEBUG", "").split(",")


class _Browser:
    """Driver and Chromium of one login, and their folder."""

    def __init__(
        self,
        settings: BrowserLogin,
        chromium: Path,
        pin: str,
        driver: AbstractAsyncContextManager[Playwright],
    ) -> None:
        self._settings = settings
        self._chromium = chromium
        self._pin = pin
        self._driver = driver
        self._folder = BrowserFolder()
        self._processes = BrowserProcesses(self._folder.path)
        self._context: BrowserContext | None = None

    async def start(self) -> Page:
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(START_TIMEOUT):
                self._context = await self._launch(await self._driver.__aenter__())
                return self._context.pages[0]
        except TimeoutError:
            reason = f"not within {START_TIMEOUT:.0f} s"
        except (Error, OSError) as error:
            reason = first_line(error)
        raise GatewayError(
            f"the browser {self._chromium} did not start ({reason}). See whether "
            f"`{self._chromium} --headless --dump-dom about:blank` works for this user."
        )

    async def _launch(self, playwright: Playwright) -> BrowserContext:
        return await playwright.chromium.launch_persistent_context(
            self._folder.path / "profile",
            executable_path=self._chromium,
            headless=True,
            args=chromium_arguments(self._pin),
            # Chromium's sandbox refuses to work for root.
            chromium_sandbox=self._settings.sandbox and os.geteuid() != 0,
            env=dict(browser_environment(os.environ, self._folder.path)),
            artifacts_dir=self._folder.path / "artifacts",
            accept_downloads=False,
            service_workers="block",
            timeout=START_TIMEOUT * 1000,
        )

    async def end(self) -> None:
        """In order if it can be, by force if not; never raises for what the browser does."""
        try:
            async with asyncio.timeout(_ORDERLY_END):
                if self._context is not None:
                    await self._context.close()
                await self._driver.__aexit__(None, None, None)
        except Exception as error:
            # A browser that crashed cannot be closed. The message may hold what was typed.
            logger.warning("the browser did not end in order (%s)", type(error).__name__)
        if killed := await asyncio.to_thread(self._processes.kill):
            logger.warning("killed %d processes that the browser left", killed)
        if not await asyncio.to_thread(self._folder.remove):
            logger.warning("%s could not be removed", self._folder.path)
