"""What field 6509 of a quote says about the user's right to data. PURE.

Source: ``ibkr_web_api.md`` section 2.2. The first character is the timeliness; the documentation
and the frames disagree about the order of the rest (``RpB``, ``RB``), so it is a set.
"""

from __future__ import annotations

from dataclasses import dataclass

REAL_TIME = "R"
ACKNOWLEDGEMENT_MISSING = "O"
DONOR_LOGIN = (
    "a paper user's data are those of its live user: while that one is logged in on another device "
    "(phone, TWS), the paper session gets none and still reads authenticated"
)
_SIGN = "sign the yearly Market Data API acknowledgement in Client Portal"
_MEANINGS = {
    REAL_TIME: "real time",
    "D": "delayed",
    "Z": "frozen",
    "Y": "frozen and delayed",
    "N": "not subscribed",
    ACKNOWLEDGEMENT_MISSING: "the yearly Market Data API acknowledgement is missing",
    "i": "incomplete",
}


@dataclass(frozen=True, slots=True)
class Availability:
    """Field 6509, taken apart. ``text``: as received. ``flags``: P snapshot, p consolidated, B
    book, d details, v VDR exempt."""

    text: str
    timeliness: str
    flags: frozenset[str]

    @property
    def real_time(self) -> bool:
        return self.timeliness == REAL_TIME

    @property
    def meaning(self) -> str:
        return _MEANINGS.get(self.timeliness, "a value of unknown meaning")


def read_availability(text: str | None) -> Availability | None:
    """None when nothing was said."""
    if not text:
        return None
    return Availability(text, text[0], frozenset(text[1:]))


def why_no_data(availability: Availability) -> str:
    """Why a ladder is silent whose quote is not real time, for people."""
    said = f"field 6509 says {availability.text} ({availability.meaning}), not real time"
    if availability.timeliness == ACKNOWLEDGEMENT_MISSING:
        return f"{said}: {_SIGN}"
    return f"{said}. The data may not be subscribed; or: {DONOR_LOGIN}"


def why_silent(availability: Availability | None) -> str:
    """What is known of a silent ladder that no entitlement explains, and what is not."""
    if availability is None:
        return (
            "no ladder frame and no quote field 6509 has come, while the websocket lives: nothing "
            f"tells why. One possible cause: {DONOR_LOGIN}"
        )
    return (
        f"field 6509 says {availability.text} (real time), yet no ladder frame comes. Either the "
        "stream is stuck, or the exchange's depth (L2) is not subscribed"
    )
