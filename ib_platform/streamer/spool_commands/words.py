"""Numbers and instants as the spool commands print them. PURE."""

from __future__ import annotations

from datetime import UTC, datetime

_NANOS = 1_000_000_000
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def iso_ns(instant_ns: int) -> str:
    """ISO 8601, UTC, all nine digits. ``instant_ns``: since 1970."""
    seconds, nanos = divmod(instant_ns, _NANOS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def iso_unix(instant: float) -> str:
    """ISO 8601, UTC, to the second. ``instant``: Unix seconds."""
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%dT%H:%M:%SZ}"


def brief(instant_ns: int | None) -> str:
    """For tables: to the millisecond, or a dash."""
    return "-" if instant_ns is None else f"{iso_ns(instant_ns)[:23].replace('T', ' ')}Z"


def size_in_words(size: int) -> str:
    """Like ``1.5 MiB``."""
    amount, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
