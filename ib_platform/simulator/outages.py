"""IBKR's planned outages as a function of the wall clock: the nightly reset and the weekend.

Documents disagree about the hours (Web API page, section 1.4), so both windows are parameters in
local time of an IANA zone. Both are off by default: a simulation shows a good day unless a
scenario says otherwise, and no test depends on the hour at which it runs.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from ib_platform.simulator.parameters import Seconds, parameters

_SATURDAY = 5


class Outage(StrEnum):
    """What is away: ``/iserver`` and market data at night, everything at the weekend."""

    NIGHTLY = "nightly"
    WEEKEND = "weekend"


def _known(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError(f"{zone!r} is no IANA time zone such as America/New_York") from error
    return zone


Zone = Annotated[str, AfterValidator(_known)]


@parameters
class OutageParameters:
    """``nightly`` and ``weekend``: whether they happen. Times are local in ``zone``, lengths in
    seconds. ``nightly_ends_login``: whether the reset ends the SSO login too (401 afterwards)
    or only the brokerage session; not known of paper users. ``midnight_ends_login``: IBKR's
    documents ask for a new login at least once after midnight, whatever the reset does.
    ``status`` and ``latency``: the answer of what is away, an empty body after so many seconds
    (seen: 500 and 503, often after 10 s)."""

    zone: Zone = "America/New_York"
    nightly: bool = False
    nightly_at: time = time(0, 0)
    nightly_seconds: Seconds = 300.0
    nightly_ends_login: bool = False
    midnight_ends_login: bool = False
    status: Annotated[int, Field(ge=500, le=599)] = 503
    latency: Seconds = 0.0
    weekend: bool = False
    weekend_at: time = time(18, 0)
    weekend_seconds: Seconds = Field(default=3 * 3600.0, le=86_400)


class Outages:
    """Answers for unix seconds."""

    def __init__(self, parameters: OutageParameters) -> None:
        self.parameters = parameters
        self._zone = ZoneInfo(parameters.zone)

    def at(self, wall: float) -> Outage | None:
        """The outage of this instant; the weekend's counts more."""
        p = self.parameters
        if p.weekend and self._inside(wall, p.weekend_at, p.weekend_seconds, _SATURDAY):
            return Outage.WEEKEND
        if p.nightly and self._inside(wall, p.nightly_at, p.nightly_seconds, None):
            return Outage.NIGHTLY
        return None

    def began_between(self, after: float, until: float) -> frozenset[Outage]:
        """Outages whose first instant lies in (after, until]."""
        p = self.parameters
        found = set()
        if p.nightly and after < self._latest_start(until, p.nightly_at, None) <= until:
            found.add(Outage.NIGHTLY)
        if p.weekend and after < self._latest_start(until, p.weekend_at, _SATURDAY) <= until:
            found.add(Outage.WEEKEND)
        return frozenset(found)

    def ends_login(self, began: float, now: float) -> bool:
        """Whether a login of the instant ``began`` has met its midnight, if that matters."""
        return self.parameters.midnight_ends_login and began < self._latest_start(
            now, time(0, 0), None
        )

    def _inside(self, wall: float, begin: time, seconds: float, weekday: int | None) -> bool:
        return wall - self._latest_start(wall, begin, weekday) < seconds

    def _latest_start(self, wall: float, begin: time, weekday: int | None) -> float:
        """The newest start that is not later than ``wall``."""
        day = datetime.fromtimestamp(wall, UTC).astimezone(self._zone).date()
        while True:
            start = self._start_on(day, begin)
            if start <= wall and weekday in (None, day.weekday()):
                return start
            day -= timedelta(days=1)

    def _start_on(self, day: date, begin: time) -> float:
        return datetime.combine(day, begin, self._zone).timestamp()
