"""When ``front`` begins to mean the next month. PURE.

Both rules come down to one date, ``front_from``: the front month is the nearest one whose last
trading day is not before it. All dates are trade dates and days are calendar days, since that is
how IBKR dates a contract's last trading day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from ib_platform.marketdata.contracts import FutureMonth


def latest_roll(today: date, days_before_last_trade: int) -> date:
    """``front_from`` by the calendar: a month is the front one until it has fewer than
    ``days_before_last_trade`` days left. With 0 days it is so until its last trading day."""
    return today + timedelta(days=days_before_last_trade)


def roll_by_volume(
    months: Sequence[FutureMonth], volumes: Mapping[int, int], front_from: date
) -> date:
    """``front_from`` after comparing volumes: a month has had its time as soon as the one after it
    traded more. Never before the given ``front_from``.

    ``months`` are sorted by last trading day, ``volumes`` are contracts traded by conid. A volume
    that is unknown (absent) decides nothing.

    Give it the last answer as ``front_from`` the next time: then ``front`` never rolls back. Near
    the roll the two volumes cross several times, and each change of the contract costs a new
    subscription and cuts the series in two.
    """
    candidates = [month for month in months if month.last_day >= front_from]
    for front, following in zip(candidates, candidates[1:], strict=False):
        traded, next_traded = volumes.get(front.conid), volumes.get(following.conid)
        if traded is None or next_traded is None or next_traded <= traded:
            break
        front_from = following.last_day
    return front_from
