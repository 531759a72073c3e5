"""``ib-platform drain-spool`` as a process of its own: the fleet never touches data itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ib_platform.errors import PlatformError

GRACE = 300.0
"""Seconds beyond its deadline that a drain may take to count what is left, before it is killed."""
_SAYS = "ib-platform: "


def run_drain(config_file: Path, paper_user: str, deadline: float) -> str:
    """Load the spool of a paper user whose streamer does not run; what the command printed.

    ``deadline``: seconds.

    Raises:
        PlatformError: it did not load everything; the message is the command's own.
    """
    command = [
        sys.executable, "-m", "ib_platform.cli", "drain-spool", paper_user,
        "--deadline", f"{deadline:g}", "--config", str(config_file),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=deadline + GRACE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PlatformError(
            f"draining the spool of {paper_user} did not end {GRACE:g} s after its deadline of "
            f"{deadline:g} s and was killed; nothing is lost, look at the disk and try again"
        ) from error
    if done.returncode != 0:
        _, _, said = done.stderr.rpartition(_SAYS)
        printed = "\n".join(filter(None, (said.strip(), done.stdout.strip())))
        raise PlatformError(printed or f"drain-spool ended with exit code {done.returncode}")
    return done.stdout.strip()
