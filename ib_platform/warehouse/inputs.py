"""What a build of a trade date reads beside the frames: runs, events, assignments, contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.errors import WarehouseError
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.event_details import detail_of, span_of
from ib_platform.warehouse.evidence import Generation, Leap, Loss, NamedCause, Run, Spell, StepBack
from ib_platform.warehouse.losses import read_losses
from ib_platform.warehouse.runs import frames_of_runs, run_of, told_runs
from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.steps import read_leaps, read_steps_back
from ib_platform.warehouse.told_hours import ToldHours, read_told_hours

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build

_ASSIGNMENTS = """
SELECT generation, toUnixTimestamp64Milli(created_at), toUnixTimestamp64Milli(effective_at),
       contracts, paper_users, calendars
FROM assignments FINAL ORDER BY generation
"""
_CONTRACTS = """
SELECT contract, conid, toUnixTimestamp64Milli(resolved_at), toFloat64(tick), last_trade_date
FROM contracts FINAL ORDER BY contract, resolved_at, conid
"""

_OF_OTHER_RUNS = (StreamEventKind.RUN_RECOVERED, StreamEventKind.BATCH_REFUSED)
"""Events that may tell of another run than the one that wrote them."""
_DOUBTS = {
    StreamEventKind.LATE_STAMPS.value: Cause.LATE_STAMPS,
    StreamEventKind.CLOCK_STEP.value: Cause.CLOCK_STEP,
}


@dataclass(frozen=True)
class PodCounts:
    """Spool balance of one paper user on one trade date, over all topics. ``holes``: numbers that
    are missing up to the highest stored one."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    holes: int = 0


@dataclass(frozen=True)
class ContractFacts:
    """What IBKR has told of a conid; None: nothing yet. ``tick``: in price units."""

    tick: float | None = None
    last_trade_date: date | None = None


@dataclass(frozen=True)
class Surroundings:
    """Everything but frames. ``runs``: those with frames, as far as these go. ``told``: all of
    them, as far as their events go too: a run that never got in has no frame. ``doubts``: run and
    span in which its stamps are not to be trusted. ``facts``: by conid. ``events``: rows of
    ``events.sql``. ``told_hours``: what IBKR told of trading hours."""

    runs: list[Run]
    told: list[Run]
    pods: dict[str, PodCounts]
    causes: list[NamedCause]
    losses: list[Loss]
    doubts: list[tuple[str, Span, Cause]]
    steps: list[StepBack]
    leaps: list[Leap]
    generations: list[Generation]
    calendars: dict[str, CalendarName]
    conids: dict[str, int]
    facts: dict[int, ContractFacts] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    told_hours: list[ToldHours] = field(default_factory=list)

    @property
    def newest(self) -> int | None:
        """Instant of the newest frame of all paper users: each one's last run tells."""
        last = {run.paper_user: run.last_at for run in sorted(self.runs, key=lambda r: r.place)}
        return max(last.values(), default=None)

    def mute_until(self, paper_user: str | None) -> int | None:
        """The last word of a run of ``paper_user`` that has no frame, None where there is none."""
        with_frames = {run.run_id for run in self.runs}
        mute = [
            run
            for run in self.told
            if run.run_id not in with_frames and run.paper_user == paper_user
        ]
        return max(mute, key=lambda run: run.place).last_at if mute else None


def read_surroundings(build: Build, date_end: int) -> Surroundings:
    """Read them. ``date_end``: end of the trade date, in nanoseconds."""
    events = build.rows("events")
    rows = build.rows("runs")
    totals = frames_of_runs(events)
    generations, calendars = _assignments(build, date_end)
    conids, facts = _contracts(build, date_end)
    runs = [run_of(row, events) for row in rows]
    told = told_runs(runs, rows, events)
    steps = read_steps_back(build, rows, events)
    numbers = {run.run_id: run.number for run in told}
    return Surroundings(
        runs=[replace(run, number=numbers.get(run.run_id, 0)) for run in runs],
        told=told,
        pods=_pods(rows, totals, _lost_frames(events, build.trade_date)),
        causes=[
            NamedCause(row["at"], row["paper_user"], row["conid"], row["cause"])
            for row in events
            if row["cause"] is not None and row["kind"] not in _OF_OTHER_RUNS
        ],
        losses=read_losses(build, events, steps),
        doubts=[
            (run_id, span_of(row), _DOUBTS[row["kind"]])
            for row in events
            if row["kind"] in _DOUBTS
            for run_id in (row["run_id"], detail_of(row).get("after_run"))
            if isinstance(run_id, str)
        ],
        steps=steps,
        leaps=read_leaps(rows, events),
        generations=generations,
        calendars=calendars,
        conids=conids,
        facts=facts,
        events=events,
        told_hours=read_told_hours(build),
    )


def read_spells(build: Build) -> list[Spell]:
    """Spells of this build with the numbers of their ladder frames."""
    rows = build.rows("numbered_spells", spells=build.stages["spells"])
    return [Spell(**row) for row in rows]


def _lost_frames(events: Sequence[dict[str, Any]], trade_date: date) -> dict[str, int]:
    """Frames by paper user that took no number, since their disk refused them on the date."""
    lost: dict[str, int] = {}
    for event in events:
        count = detail_of(event).get("lost_frames")
        of_date = date_of(event["trade_date"]) == trade_date
        if event["kind"] == StreamEventKind.FRAMES_LOST and of_date and isinstance(count, int):
            lost[event["paper_user"]] = lost.get(event["paper_user"], 0) + count
    return lost


def _pods(
    rows: Sequence[dict[str, Any]], totals: dict[str, int], lost: dict[str, int]
) -> dict[str, PodCounts]:
    pods: dict[str, PodCounts] = {}
    for row in rows:
        if row["highest"] is None:
            continue
        before = row["highest_before"]
        first = 0 if before is None else before + 1
        end = row["highest"] + 1
        if not row["goes_on"]:
            end = max(end, totals.get(row["run_id"], 0))
        sofar = pods.get(row["paper_user"], PodCounts())
        pods[row["paper_user"]] = PodCounts(
            sofar.received + end - first,
            sofar.stored + row["stored"],
            sofar.duplicates + row["rows"] - row["stored"],
            sofar.holes + row["highest"] + 1 - first - row["stored"],
        )
    for paper_user, count in lost.items():
        sofar = pods.get(paper_user, PodCounts())
        pods[paper_user] = replace(sofar, received=sofar.received + count)
    return pods


def _assignments(build: Build, date_end: int) -> tuple[list[Generation], dict[str, CalendarName]]:
    generations: list[Generation] = []
    calendars: dict[str, CalendarName] = {}
    for number, created, effective, contracts, users, names in build.client.query(
        _ASSIGNMENTS
    ).result_rows:
        if created * 1_000_000 >= date_end:
            break
        if not len(contracts) == len(users) == len(names):
            raise WarehouseError(
                f"assignments: the arrays of generation {number} differ in length; only "
                "`rebalance` may write this table. Insert a sound generation after it."
            )
        generations.append(
            Generation(
                created * 1_000_000, effective * 1_000_000, dict(zip(contracts, users, strict=True))
            )
        )
        calendars.update((key, _calendar(name)) for key, name in zip(contracts, names, strict=True))
    return generations, calendars


def _calendar(name: str) -> CalendarName:
    try:
        return CalendarName(name)
    except ValueError as error:
        known = ", ".join(CalendarName)
        raise WarehouseError(
            f"assignments: calendar {name!r} is unknown here, known are {known}. Is this an older "
            "version of the platform than the one that wrote it?"
        ) from error


def _contracts(build: Build, date_end: int) -> tuple[dict[str, int], dict[int, ContractFacts]]:
    """Contract key -> conid: the newest resolution made before the date's end, else the first. And
    what is known of each conid, whenever it was told: it does not change."""
    conids: dict[str, int] = {}
    facts: dict[int, ContractFacts] = {}
    for contract, conid, resolved, tick, last_day in build.client.query(_CONTRACTS).result_rows:
        if contract not in conids or resolved * 1_000_000 < date_end:
            conids[contract] = conid
        known = facts.get(conid, ContractFacts())
        facts[conid] = ContractFacts(
            known.tick if tick is None else tick,
            known.last_trade_date if last_day is None else date_of(last_day),
        )
    return conids, facts


def date_of(value: date | datetime) -> date:
    """ClickHouse drivers answer dates as date or datetime."""
    return value.date() if isinstance(value, datetime) else value
