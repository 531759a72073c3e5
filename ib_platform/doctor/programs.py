"""Programs that a pod starts: IBKR's gateway in Java, and the browser that logs in."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ib_platform.config import PlatformConfig
from ib_platform.config_gateway import JavaGateway
from ib_platform.doctor.finding import Finding, ok, problem, warning
from ib_platform.errors import MissingDependencyError
from ib_platform.gateway.java import find_java

JAVA, CHROMIUM = "java", "chromium"
_TIMEOUT = 20.0
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_INSTALL_JAVA = (
    "Install Java: `apt-get install openjdk-17-jre-headless` (or default-jre-headless), or name "
    "another one in gateway.java.java."
)
_INSTALL_CHROMIUM = (
    "Install it: `apt-get install chromium`, or name another one in gateway.login.chromium."
)


def check_java(config: PlatformConfig) -> Iterator[Finding]:
    """Java and the unpacked gateway, where the pods run IBKR's own program."""
    settings = config.gateway.java
    if config.gateway.program != "java" or settings is None:
        yield ok(JAVA, "not needed: the pods run the simulator")
        return
    yield _java(settings)
    missing = [
        str(settings.folder / part)
        for part in ("dist", "build/lib/runtime")
        if not (settings.folder / part).is_dir()
    ]
    if missing:
        yield problem(
            JAVA,
            f"gateway.java.folder is not an unpacked clientportal.gw.zip: {', '.join(missing)} "
            "missing; no gateway can start",
            "Unpack IBKR's clientportal.gw.zip and name its folder in gateway.java.folder.",
        )
    else:
        yield ok(JAVA, f"the gateway program lies in {settings.folder}")


def _java(settings: JavaGateway) -> Finding:
    try:
        path, version = find_java(settings)
    except MissingDependencyError as error:
        return problem(JAVA, f"{error} No gateway can start.", _INSTALL_JAVA)
    return ok(JAVA, f"{path} is Java {version}")


def check_browser(config: PlatformConfig) -> Iterator[Finding]:
    """Chromium and Playwright: without them nobody logs in."""
    users = [user.name for user in config.paper_users if user.credentials is not None]
    if not users:
        yield ok(CHROMIUM, "not needed: no paper user has credentials, so nobody logs in here")
        return
    means = f"{', '.join(users)} cannot log in"
    path = _chromium(config.gateway.login.chromium)
    version = None if path is None else _answer([path, "--version"])
    if path is None:
        yield problem(CHROMIUM, f"Chromium is not found; {means}", _INSTALL_CHROMIUM)
    elif not version:
        text = f"{path} does not answer --version; {means}"
        yield problem(CHROMIUM, text, _INSTALL_CHROMIUM)
    else:
        # Debian's start script may complain on stderr first.
        lines = [line for line in version.splitlines() if re.search(r"\d+\.\d+\.\d+", line)]
        yield ok(CHROMIUM, f"{path} is {(lines or version.splitlines())[-1].strip()}")
    if importlib.util.find_spec("playwright") is None:
        yield problem(
            CHROMIUM,
            f"the Python package playwright, which drives it, is not installed; {means}",
            "Install it: `pip install playwright`. It needs no browser of its own.",
        )
    if not config.gateway.login.sandbox:
        yield warning(
            CHROMIUM,
            "its sandbox is switched off: a login page with malicious content reaches this user",
            "Set gateway.login.sandbox to true, unless a container forbids user namespaces.",
        )


def _chromium(configured: Path | None) -> str | None:
    names = _CHROMIUM_NAMES if configured is None else (str(configured),)
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


def _answer(command: list[str]) -> str | None:
    """All that the program says; None when it does not run, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
