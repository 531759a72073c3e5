"""What the login page asks for after the password: codes, notifications, a choice of devices. Pure.

TOTP is RFC 6238 with its usual choices (SHA-1, 30 s, 6 digits), which is what authenticator apps
and pyotp compute.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

_PERIOD_SECONDS = 30
_DIGITS = 6


class SecondFactor(StrEnum):
    """``select``: first a dropdown with the user's devices, then what the chosen one needs."""

    NONE = "none"
    TOTP = "totp"
    PUSH = "push"
    SELECT = "select"


DEVICES = {
    "IB Key": SecondFactor.PUSH,
    "Mobile Authenticator App": SecondFactor.TOTP,
}
"""Visible texts of the dropdown; the first is the one that clients in the field look for."""


def decoded_secret(secret: str) -> bytes:
    """Bytes of a base32 secret, spaces and case as people type them; ValueError if it is none."""
    text = "".join(secret.split()).upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError as error:
        raise ValueError("a TOTP secret is base32: letters A to Z and digits 2 to 7") from error
    if not key:
        raise ValueError("a TOTP secret must not be empty")
    return key


def totp(secret: str, wall: float) -> str:
    """The code of an instant (unix seconds)."""
    counter = int(wall // _PERIOD_SECONDS).to_bytes(8, "big")
    digest = hmac.digest(decoded_secret(secret), counter, hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


def is_right_code(secret: str, code: str, wall: float, *, periods: int = 1) -> bool:
    """Whether ``code`` is that of now or of up to ``periods`` periods before or after."""
    given = code.strip().encode()
    codes = [
        totp(secret, max(0.0, wall + shift * _PERIOD_SECONDS))
        for shift in range(-periods, periods + 1)
    ]
    return any(hmac.compare_digest(given, each.encode()) for each in codes)


class Answer(StrEnum):
    """What has become of a notification."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"


@dataclass
class Notification:
    """A push message to the user's phone. ``confirmed_after`` seconds the user taps on it, None =
    never; ``lifetime`` seconds after it was sent it is void. Instants are simulated seconds."""

    sent: float
    confirmed_after: float | None
    lifetime: float

    def at(self, now: float) -> Answer:
        age = now - self.sent
        after = self.confirmed_after
        if after is not None and after <= self.lifetime and age >= after:
            return Answer.CONFIRMED
        return Answer.EXPIRED if age >= self.lifetime else Answer.WAITING

    def send_again(self, now: float) -> None:
        """Another one goes out; the lifetime begins anew. What the user does, stays the same:
        the phone shows one notification, however often it was asked for."""
        if self.confirmed_after is not None:
            self.confirmed_after = max(0.0, self.sent + self.confirmed_after - now)
        self.sent = now
