"""Numbers and instants of the page for people. Pure. Unknown is said, never 0."""

from __future__ import annotations

from datetime import datetime

from ib_platform.marketdata.sessions import CHICAGO

UNKNOWN = "unknown"


def share(value: float | None) -> str:
    """A share of 1 in percent, rounded down: 99.9996 % must not read as 100 %."""
    return UNKNOWN if value is None else f"{int(value * 100_000) / 1000:g} %"


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def length(seconds: float | None) -> str:
    """A time like ``3 h 25 min``, ``12 min 3 s``, ``4.2 s``, ``310 ms``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or not seconds else "less than 1 ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def figure(value: float | None, unit: str) -> str:
    """The value of a check with its unit."""
    if value is None:
        return UNKNOWN
    if unit == "share":
        return share(value)
    if unit == "seconds":
        return length(value) if value >= 0 else f"{value:g} s"
    return f"{value:,.6g} {unit}".strip()


def both(instant: datetime) -> str:
    """An instant in Chicago and in UTC."""
    return f"{chicago(instant)} Chicago, {instant:%H:%M:%S} UTC"


def chicago(instant: datetime) -> str:
    """An instant in Chicago, with its day."""
    return f"{instant.astimezone(CHICAGO):%a %d %b %H:%M:%S}"
