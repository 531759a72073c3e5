"""Traded volumes out of a market data snapshot. PURE.

``GET /iserver/marketdata/snapshot`` (``ibkr_web_api.md`` section 2.2): the first call of a session
only opens a contract and answers its conid; fields arrive over the next calls, as strings. 7762 is
the volume in full, 87 the same shown short (``12.3K``, ``1.23M``).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from ib_platform.marketdata.prices import Unreadable, count_of

VOLUME_FIELDS = ("7762", "87")
_SHORT = re.compile(r"(\d{1,3}(?:,\d{3})*|\d{1,12})(\.\d{1,6})?([KMB])", re.ASCII)
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}


class _Entry(msgspec.Struct):
    conid: int | None = None
    full: Any = msgspec.field(default=None, name="7762")
    short: Any = msgspec.field(default=None, name="87")


def decode_volumes(payload: bytes) -> dict[int, int]:
    """Contracts traded, by conid. What is not said, or cannot be read, is left out.

    Raises:
        ValueError: the answer is not a JSON list of objects.
    """
    try:
        entries = msgspec.json.decode(payload, type=list[_Entry])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not an answer of marketdata/snapshot: {error}") from error
    volumes = {}
    for entry in entries:
        said = (volume_of(entry.full), volume_of(entry.short))
        volume = next((value for value in said if value is not None), None)
        if entry.conid is not None and volume is not None:
            volumes[entry.conid] = volume
    return volumes


def volume_of(value: object) -> int | None:
    """A volume as IBKR shows it: ``1,234``, ``12.3K``; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and (short := _SHORT.fullmatch(value.strip())) is not None:
        number = Decimal(short[1].replace(",", "") + (short[2] or ""))
        return int(number * _UNITS[short[3]])
    try:
        return count_of(value)
    except Unreadable:
        return None
