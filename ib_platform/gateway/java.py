"""How IBKR's gateway program is run: Java, found and new enough, and its command line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ib_platform.config_gateway import JavaGateway
from ib_platform.errors import MissingDependencyError
from ib_platform.gateway.conf import CONF

MAIN_CLASS = "ibgroup.web.core.clientportal.gw.GatewayStart"
DEBIAN_PACKAGES = "apt-get install openjdk-17-jre-headless (or default-jre-headless)"
_JARS = "root:dist/ibgroup.web.core.iblink.router.clientportal.gw.jar:build/lib/runtime/*"
_OLDEST = (8, 192)
_ANSWER_WITHIN = 20.0


class FoundJava(NamedTuple):
    """``version``: like 17 or 8u192."""

    path: Path
    version: str


def find_java(java: JavaGateway) -> FoundJava:
    """The Java program that the configuration names.

    Raises:
        MissingDependencyError: not found, or older than 8u192, which the gateway needs
            (``ibkr_web_api.md`` section 1.1).
    """
    found = shutil.which(java.java)
    if found is None:
        raise MissingDependencyError(
            f"gateway.java.java {java.java!r}: no such program. IBKR's gateway needs Java: "
            f"{DEBIAN_PACKAGES}, or name it in the configuration."
        )
    said = _version_text(Path(found))
    version = java_version(said)
    if version is None:
        answer = said.strip().splitlines()[:1] or ["nothing"]
        raise MissingDependencyError(
            f"{found} -version answers {answer[0]!r}: not a Java. {DEBIAN_PACKAGES}"
        )
    if version < _OLDEST:
        raise MissingDependencyError(
            f"{found} is Java {version[0]} update {version[1]}; IBKR's gateway needs 8u192 or "
            f"newer: {DEBIAN_PACKAGES}"
        )
    first, update = version
    return FoundJava(Path(found), f"{first}u{update}" if first == _OLDEST[0] else str(first))


def java_version(said: str) -> tuple[int, int] | None:
    """Version and update that ``java -version`` tells; None when it tells none.

    >>> java_version('openjdk version "17.0.15" 2025-04-15')
    (17, 0)
    >>> java_version('java version "1.8.0_192"')
    (8, 192)
    """
    match = re.search(r'version "(\d+)(?:\.(\d+))?(?:\.\d+)?(?:_(\d+))?', said)
    if match is None:
        return None
    first, second, update = (int(part or 0) for part in match.groups())
    return (second, update) if first == 1 else (first, second)


def java_command(executable: Path, java: JavaGateway) -> list[str]:
    """Command line, to be run in the pod's gateway folder. Holds no secret."""
    return [
        str(executable),
        "-server",
        f"-Xmx{java.memory_megabytes}m",
        "-Dvertx.disableDnsResolver=true",
        "-Djava.net.preferIPv4Stack=true",
        "-Dvertx.logger-delegate-factory-class-name=io.vertx.core.logging.SLF4JLogDelegateFactory",
        "-cp",
        _JARS,
        MAIN_CLASS,
        "--conf",
        # The program's own run.sh puts "../" before the name that it is given.
        f"../root/{CONF}",
    ]


def _version_text(executable: Path) -> str:
    try:
        answer = subprocess.run(
            [str(executable), "-version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingDependencyError(
            f"{executable} -version does not answer ({type(error).__name__}). {DEBIAN_PACKAGES}"
        ) from error
    return answer.stderr + answer.stdout
