"""What is seen of a rehearsal while it runs, and what its record says afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span, trade_dates_between
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.connect import Client
from ib_platform_tests.rehearsal.virtual_pod import VirtualPod
from ib_platform_tests.rehearsal.week import Rehearsal, Trouble

LOOK_EVERY = 5.0
DAY = timedelta(days=1)
SLACK = timedelta(seconds=45)


class Gap(NamedTuple):
    """A row of ``gaps``."""

    contract: str
    cause: str
    begin: datetime
    end: datetime

    def explained_by(self, troubles: list[Trouble]) -> Trouble | None:
        """The trouble whose cause it has, and whose time from beginning to end (and a little) it
        takes; None where there is none. ``SLACK``: the frames of a ladder lie so far apart."""
        for trouble in troubles:
            latest = trouble.end + timedelta(seconds=trouble.back)
            begins = trouble.begin - SLACK <= self.begin <= trouble.begin + SLACK
            ends = trouble.end - SLACK <= self.end <= latest
            if self.cause in trouble.causes and begins and ends:
                return trouble
        return None


@dataclass
class Observed:
    """``live``: changes of whether all is well, with their instants. ``logins``: when they were
    made. Both to the ``LOOK_EVERY``."""

    live: list[tuple[datetime, bool]] = field(default_factory=list)
    logins: list[datetime] = field(default_factory=list)

    async def watch(self, pod: VirtualPod, until: datetime) -> None:
        """Look on until the (virtual) instant."""
        while (now := pod.clocks.utc()) < until:
            self.logins += [now] * (pod.login.made - len(self.logins))
            if not self.live or self.live[-1][1] is not pod.is_live:
                self.live.append((now, pod.is_live))
            await asyncio.sleep(LOOK_EVERY)

    def back_after(self, instant: datetime) -> float:
        """Seconds from the instant until all was well; 0 when it was."""
        before = [well for at, well in self.live if at <= instant]
        if before and before[-1]:
            return 0.0
        return next(
            ((at - instant).total_seconds() for at, well in self.live if at > instant and well),
            float("inf"),
        )

    def most_logins_a_day(self) -> int:
        return max(
            (sum(at <= other < at + DAY for other in self.logins) for at in self.logins), default=0
        )


def compacted_gaps(client: Client, config: PlatformConfig, rehearsal: Rehearsal) -> list[Gap]:
    """Gaps of all trade dates that the rehearsal touches, in order."""
    for trade_date in trade_dates_between(rehearsal.begin, rehearsal.end):
        closed = trade_date_span(trade_date)[1] <= rehearsal.end
        build = finalize if closed else build_open_date
        build(client, config, trade_date, now=rehearsal.end)
    rows = client.query("SELECT contract, cause, begin, end FROM gaps ORDER BY begin").result_rows
    return [
        Gap(contract, cause, begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC))
        for contract, cause, begin, end in rows
    ]


def asked_for(client: Client, span: tuple[datetime, datetime]) -> list[str]:
    """What was done about ladders in the span."""
    rows = client.query(
        "SELECT kind FROM stream_events FINAL WHERE at BETWEEN {begin:DateTime64(3)} AND "
        "{end:DateTime64(3)} AND contract IS NOT NULL "
        "AND kind IN ('subscribe_requested', 'ladder_silent', 'unsubscribed')",
        {"begin": span[0], "end": span[1]},
    ).result_rows
    return [kind for (kind,) in rows]


def heartbeats(client: Client, span: tuple[datetime, datetime]) -> int:
    """Heartbeats of the gateway that were received in the span."""
    rows = client.query(
        "SELECT count() FROM frames WHERE received_at BETWEEN {begin:DateTime64(3)} AND "
        "{end:DateTime64(3)} AND topic = 'system'",
        {"begin": span[0], "end": span[1]},
    ).result_rows
    return int(rows[0][0])
