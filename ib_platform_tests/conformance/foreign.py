"""Clients that we did not write, each in a virtual environment of its own.

``.conformance/<client>`` is made from ``<client>.txt`` when it is missing or the pins have changed:
about ten seconds from a package index. Their requirements exclude each other's, and ours.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".conformance"
PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")
_STAMP = "pins.installed"


class NotHereError(Exception):
    """Something that is not ours is missing on this machine; says what and how to get it."""


def pins_of(client: str) -> Path:
    """Every package of the client's environment, one ``name==version`` a line."""
    return HERE / f"{client}.txt"


def python_of(client: str) -> Path:
    """The interpreter of the client's environment.

    Where it cannot be made, the test is skipped with the reason; in the gate (CI=true) it fails.
    """
    try:
        return _environment(client)
    except NotHereError as error:
        return without(str(error))


def program(name: str, package: str) -> Path:
    """A program of this machine, by name; like ``python_of`` when it is missing."""
    found = shutil.which(name)
    if found is None:
        return without(f"{name} is missing: apt-get install {package}")
    return Path(found)


def without(reason: str) -> Path:
    """Ends the test: skipped for a newcomer, failed in the gate."""
    if os.environ.get("CI"):
        raise NotHereError(reason)
    pytest.skip(reason)


def _environment(client: str) -> Path:
    folder, pins = ENVIRONMENTS / client, pins_of(client).read_text()
    python, stamp = folder / "bin" / "python", folder / _STAMP
    ENVIRONMENTS.mkdir(exist_ok=True)
    with FileLock(ENVIRONMENTS / f"{client}.lock"):
        if not (python.exists() and stamp.exists() and stamp.read_text() == pins):
            shutil.rmtree(folder, ignore_errors=True)
            _run(client, sys.executable, "-m", "venv", str(folder))
            # The pins are complete: nothing else is resolved or installed.
            install = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps")
            _run(client, str(python), *install, "-r", str(pins_of(client)))
            stamp.write_text(pins)
    return python


def _run(client: str, *argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise NotHereError(f"the environment of {client} cannot be made: {last[0]}")
