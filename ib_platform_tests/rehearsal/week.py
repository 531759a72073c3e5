"""What happens in a rehearsed week, as data: New York times of a week without a holiday."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ib_platform.marketdata.calendar import is_open
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.behaviour import (
    Behaviour,
    GatewayParameters,
    QuoteParameters,
)
from ib_platform.simulator.fault_spec import FaultKind, Value
from ib_platform.simulator.hours import HoursParameters
from ib_platform.simulator.outages import OutageParameters
from ib_platform.simulator.session_states import SessionParameters
from ib_platform_tests.rehearsal.virtual_pod import VirtualPod

NEW_YORK = ZoneInfo("America/New_York")
RESET_SECONDS = 300.0
FAILING = 0.01
"""Share of the time in which calls are answered with an error."""
_FAILS_FOR = 2.0
BEHAVIOUR = Behaviour(
    # A frame every 10 s at most: a week of them in minutes.
    cadence=10.0,
    session=SessionParameters(session_limit=14 * 86_400.0),
    outages=OutageParameters(
        nightly=True,
        nightly_seconds=RESET_SECONDS,
        nightly_ends_login=True,
        weekend=True,
    ),
    hours=HoursParameters(calendar=CalendarName.CME_GLOBEX),
    quotes=QuoteParameters(sampled_every=10.0),
    gateway=GatewayParameters(logged_in=False),
)


@dataclass(frozen=True)
class Trouble:
    """``fault`` None: the world's own outage, by its calendar. ``back``: seconds from its end
    until everything is live again, at most. ``causes``: of the gaps that it may leave."""

    kind: str
    begin: datetime
    seconds: float
    back: float
    causes: frozenset[str]
    fault: FaultKind | None = None

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(seconds=self.seconds)

    @property
    def leaves_gaps(self) -> bool:
        """Whether the market is open meanwhile."""
        return is_open(CalendarName.CME_GLOBEX, self.begin)

    @property
    def parameters(self) -> dict[str, Value]:
        return {"stays": self.seconds} if self.fault is FaultKind.COMPETING_LOGIN else {}


def _at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02}T{clock}").replace(tzinfo=NEW_YORK)


def _rival(day: int, clock: str) -> Trouble:
    kind = FaultKind.COMPETING_LOGIN
    causes = frozenset({"competing_login"})
    return Trouble("rival", _at(day, clock), 1200.0, 60.0, causes, kind)


_LOST = frozenset({"session_lost", "maintenance"})
RESETS = tuple(
    Trouble("reset", _at(day, "00:00:00"), RESET_SECONDS, 720.0, _LOST)
    for day in (9, 10, 11, 13, 14, 15)
)
NO_LOGIN = Trouble("no login", _at(12, "00:00:00"), 3000.0, 1500.0, _LOST, FaultKind.LOGIN_FAILS)
"""A reset after which the login page says `failed` for fifty minutes: four tries, the limit of
an hour, are spent by then."""
OUTAGE = Trouble(
    "503 hour", _at(11, "14:00:00"), 3600.0, 90.0, frozenset({"maintenance"}), FaultKind.MAINTENANCE
)
RIVALS = (_rival(9, "10:00:00"), _rival(11, "15:45:00"), _rival(12, "09:30:00"))
WEEKEND = Trouble("weekend", _at(14, "18:00:00"), 3 * 3600.0, 720.0, frozenset())
TROUBLES = tuple(
    sorted((*RESETS, NO_LOGIN, OUTAGE, *RIVALS, WEEKEND), key=lambda trouble: trouble.begin)
)


@dataclass(frozen=True)
class Rehearsal:
    """A part of the week. ``begin`` and ``end`` lie in no trouble."""

    begin: datetime
    end: datetime

    @property
    def troubles(self) -> list[Trouble]:
        return [trouble for trouble in TROUBLES if self.begin < trouble.begin < self.end]

    @property
    def undisturbed_closures(self) -> list[tuple[datetime, datetime]]:
        """Spans in which the market is closed and nothing else is wrong: the daily breaks, and the
        weekend but for its two resets and its maintenance."""
        breaks = [(_at(day, "17:00:00"), _at(day, "18:00:00")) for day in range(9, 13)]
        weekend = [
            (_at(13, "17:00:00"), _at(13, "23:59:00")),
            (_at(14, "00:30:00"), _at(14, "17:59:00")),
            (_at(14, "21:30:00"), _at(14, "23:59:00")),
            (_at(15, "00:30:00"), _at(15, "17:29:00")),
        ]
        return [span for span in (*breaks, *weekend) if self.begin < span[0] < self.end]


WEEK = Rehearsal(_at(8, "17:30:00"), _at(15, "17:30:00"))
"""From half an hour before the market opens on a Sunday to the next."""
WEDNESDAY = Rehearsal(_at(11, "13:45:00"), _at(12, "01:15:00"))
"""The outage, a rival, the daily break, and a reset after which nobody can log in for a while."""


async def make_trouble(pod: VirtualPod, rehearsal: Rehearsal) -> None:
    """Begin what is due, in order; faults end by themselves."""
    for trouble in rehearsal.troubles:
        if trouble.fault is None:
            continue
        await _sleep_until(pod, trouble.begin)
        instant = trouble.fault is FaultKind.COMPETING_LOGIN
        pod.world.faults.begin(
            trouble.fault,
            pod.clocks.seconds(),
            seconds=None if instant else trouble.seconds,
            parameters=trouble.parameters,
        )


async def fail_now_and_then(pod: VirtualPod, chance: random.Random) -> None:
    """Errors of single calls, one hundredth of the time, until cancelled."""
    while True:
        await asyncio.sleep(chance.expovariate(FAILING / _FAILS_FOR))
        status = chance.choice((500, 503))
        pod.world.faults.begin(
            FaultKind.HTTP_ERROR,
            pod.clocks.seconds(),
            seconds=_FAILS_FOR,
            parameters={"status": status},
        )


async def _sleep_until(pod: VirtualPod, instant: datetime) -> None:
    await asyncio.sleep(max(0.0, instant.timestamp() - pod.clocks.unix()))
