"""What a check found, and the boundary behind which no check can raise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

import msgspec

logger = logging.getLogger(__name__)
_Subject = TypeVar("_Subject")


class Level(StrEnum):
    """``warning``: recording works, but somebody should know. ``problem``: it does not, or what is
    recorded cannot be trusted."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """``text``: what was found and what it means for the recording. ``remedy``: what to do, None
    where nothing needs to be done. Neither holds a secret."""

    check: str
    level: Level
    text: str
    remedy: str | None = None


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.PROBLEM, text, remedy)


Check = Callable[[_Subject], Iterable[Finding]]


def findings_of(checks: Iterable[tuple[str, Check[_Subject]]], subject: _Subject) -> list[Finding]:
    """What all checks found. A check that fails by itself is a finding of its own: the others must
    still be told."""
    found: list[Finding] = []
    for name, check in checks:
        try:
            found += check(subject)
        except Exception as error:
            # The boundary: no machine is so odd that the rest of the diagnosis should be lost.
            logger.debug("check %s", name, exc_info=True)
            text = f"the check itself failed: {type(error).__name__}: {error}"
            found.append(problem(name, text, "Report this: a check must explain, never fail."))
    return found
