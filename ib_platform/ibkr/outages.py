"""When IBKR is expected to be away: the nightly reset, the weekend's maintenance. PURE.

Sources disagree about the hours (``ibkr_web_api.md`` section 1.4), so they are configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ib_platform.config_gateway import ExpectedOutage

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def outage_until(outages: Iterable[ExpectedOutage], instant: datetime) -> datetime | None:
    """End (UTC) of the expected outage that ``instant`` (aware) lies in; None outside of all."""
    ends = [end for outage in outages if (end := _end_of(outage, instant)) is not None]
    return max(ends, default=None)


def _end_of(outage: ExpectedOutage, instant: datetime) -> datetime | None:
    local = instant.astimezone(ZoneInfo(outage.timezone))
    for days_ago in (0, 1):
        day = local.date() - timedelta(days=days_ago)
        if _DAYS[day.weekday()] not in outage.days:
            continue
        begin = datetime.combine(day, outage.begin, local.tzinfo).astimezone(UTC)
        end = begin + timedelta(minutes=outage.minutes)
        if begin <= instant < end:
            return end
    return None
