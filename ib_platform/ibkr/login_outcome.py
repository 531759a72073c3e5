"""What a login in the browser has come to, and what the words of the page mean. PURE.

The texts stand in ``ibkr_web_api.md`` section 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class LoginOutcome(StrEnum):
    """A fact about one attempt. What to do about it is decided elsewhere.

    SUBMITTED: the page says success, which proves nothing: only ``auth/status`` does.
    REJECTED: the page does not know this username with this password.
    WRONG_MODE: the page wants the other position of its live/paper switch.
    SECOND_FACTOR: the page asks for a code, a notification or a device. No paper user is asked.
    REFUSED: any other error text, like a locked user, or ``failed``.
    PAGE_CHANGED: a page came, and something that a login needs is not on it.
    PAGE_HANGS: no page came, or no answer to the click, in time; also HTTP 5xx instead of a page.
    NOT_REACHED: no connection to the gateway, or one that presents another certificate.
    NO_BROWSER: there is no Chromium or no driver for it, it did not start, or it died.
    NO_CREDENTIALS: the username or password cannot be read.
    """

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
    """``detail``: words for people, without secrets. ``evidence``: text file about the page as it
    was, None = there was no page or nothing is kept; a picture of the same name lies beside it.
    ``submitted``: the password may have reached IBKR; false only where it certainly has not."""

    outcome: LoginOutcome
    detail: str
    evidence: Path | None = None
    submitted: bool = True


def outcome_of_error(text: str) -> LoginOutcome:
    """What an error text of the page means; case and spacing do not matter."""
    words = _normal(text)
    if "invalid username password combination" in words:
        return LoginOutcome.REJECTED
    if "please select the correct login mode" in words:
        return LoginOutcome.WRONG_MODE
    return LoginOutcome.REFUSED


def says_paper_user_in_live_mode(text: str) -> bool:
    """Whether the page says that a paper user was typed in while its switch stood on live.

    Only then may the switch be moved away from what looks like paper: the reverse message comes
    for a live user, and moving the switch would log that user in for real trading.
    """
    words = _normal(text)
    return "selected the live account mode" in words and "is a paper trading user" in words


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
