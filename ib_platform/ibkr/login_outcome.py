"""What one try to log in through the page came to. PURE: facts, from which others decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class LoginOutcome(StrEnum):
    """``submitted`` proves nothing: only ``auth/status`` tells whether a session has begun."""

    SUBMITTED = "submitted"
    REJECTED = "rejected"
    WRONG_MODE = "wrong_mode"
    SECOND_FACTOR = "second_factor"
    REFUSED = "refused"
    PAGE_CHANGED = "page_changed"
    PAGE_HANGS = "page_hangs"
    NOT_REACHED = "not_reached"
    NO_BROWSER = "no_browser"
    NO_CREDENTIALS = "no_credentials"


@dataclass(frozen=True, slots=True)
class LoginResult:
    """``detail``: words for people, without secrets. ``evidence``: a picture of the page."""

    outcome: LoginOutcome
    detail: str = ""
    evidence: Path | None = None
