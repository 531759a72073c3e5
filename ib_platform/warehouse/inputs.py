"""What a build of a trade date reads beside the frames: runs, events, assignments, contracts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.errors import WarehouseError
from ib_platform.marketdata.calendar import CalendarName
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.evidence import Generation, Loss, NamedCause, Run
from ib_platform.warehouse.spans import Span, to_ns

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build

_ASSIGNMENTS = """
SELECT generation, toUnixTimestamp64Milli(created_at), toUnixTimestamp64Milli(effective_at),
       contracts, paper_users, calendars
FROM assignments FINAL ORDER BY generation
"""
_CONTRACTS = """
SELECT contract, conid, toUnixTimestamp64Milli(resolved_at)
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
    """Spool balance of one paper user on one trade date, over all topics."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class Surroundings:
    """Everything but frames. ``runs``: those with frames, as far as these go. ``told``: all of
    them, as far as their events go too: a run that never got in has no frame. ``doubts``: run and
    span in which its stamps are not to be trusted."""

    runs: list[Run]
    told: list[Run]
    pods: dict[str, PodCounts]
    causes: list[NamedCause]
    losses: list[Loss]
    doubts: list[tuple[str, Span, Cause]]
    generations: list[Generation]
    calendars: dict[str, CalendarName]
    conids: dict[str, int]

    @property
    def newest(self) -> int | None:
        """Instant of the newest frame of any run."""
        return max((run.last_at for run in self.runs), default=None)

    def mute_until(self, paper_user: str | None) -> int | None:
        """The last word of a run of ``paper_user`` that has no frame, None where there is none."""
        with_frames = {run.run_id for run in self.runs}
        mute = [run for run in self.told if run.run_id not in with_frames]
        return max((run.last_at for run in mute if run.paper_user == paper_user), default=None)


def read_surroundings(build: Build, date_end: int) -> Surroundings:
    """Read them. ``date_end``: end of the trade date, in nanoseconds."""
    events = build.rows("events")
    rows = build.rows("runs")
    totals = _totals(events)
    generations, calendars = _assignments(build, date_end)
    runs = [_run(row, events) for row in rows]
    return Surroundings(
        runs=runs,
        told=_told(runs, events),
        pods=_pods(rows, totals, _lost_frames(events, build.trade_date)),
        causes=[
            NamedCause(row["at"], row["paper_user"], row["conid"], row["cause"])
            for row in events
            if row["cause"] is not None and row["kind"] not in _OF_OTHER_RUNS
        ],
        losses=_losses(build, events),
        doubts=[
            (row["run_id"], _span_of(row), _DOUBTS[row["kind"]])
            for row in events
            if row["kind"] in _DOUBTS
        ],
        generations=generations,
        calendars=calendars,
        conids=_conids(build, date_end),
    )


def _told(runs: Sequence[Run], events: Sequence[dict[str, Any]]) -> list[Run]:
    """``runs`` and those that have events only, each from its first to its last sign of life. A
    drain is a run that only loads: it is there in nobody's place."""
    known = {run.run_id: run for run in runs}
    drains = {event["run_id"] for event in events if _detail(event).get("drain") is True}
    for event in events:
        run_id, at = event["run_id"], event["at"]
        if run_id in drains:
            continue
        if (run := known.get(run_id)) is None:
            row = {"paper_user": event["paper_user"], "run_id": run_id}
            run = _run(row | {"first_at": at, "last_at": at}, events)
        known[run_id] = replace(run, first_at=min(run.first_at, at), last_at=max(run.last_at, at))
    return list(known.values())


def _run(row: dict[str, Any], events: Sequence[dict[str, Any]]) -> Run:
    run = Run(row["paper_user"], row["run_id"], row["first_at"], row["last_at"])
    for event in events:
        if event["kind"] == StreamEventKind.RUN_STOPPED and event["run_id"] == run.run_id:
            run = replace(run, stopped=True, stop_cause=event["cause"])
        elif event["kind"] == StreamEventKind.RUN_RECOVERED:
            recovered = run.recovered or _detail(event).get("run_id") == run.run_id
            run = replace(run, recovered=recovered)
    return run


def _totals(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Frames that a run received in all, where its end is known."""
    totals: dict[str, int] = {}
    for event in events:
        if event["kind"] == StreamEventKind.RUN_STOPPED:
            totals[event["run_id"]] = event["after_seq"]
        elif event["kind"] == StreamEventKind.RUN_RECOVERED:
            detail = _detail(event)
            if isinstance(detail.get("frames"), int) and isinstance(detail.get("run_id"), str):
                totals.setdefault(detail["run_id"], detail["frames"])
    return totals


def _losses(build: Build, events: Sequence[dict[str, Any]]) -> list[Loss]:
    """What the streamer saw being lost, and the holes that damage has left in its spool."""
    losses = []
    damaged = set()
    for event in events:
        if event["kind"] == StreamEventKind.FRAMES_LOST and event["cause"] is not None:
            span = _span_of(event)
            losses.append(Loss(event["run_id"], span.begin, span.end, event["cause"]))
        elif event["kind"] == StreamEventKind.SPOOL_TORN:
            damaged.add(_detail(event).get("run_id"))
    losses += _quarantined(events)
    run_ids = sorted(run_id for run_id in damaged if isinstance(run_id, str))
    if run_ids:
        losses += [
            Loss(row["run_id"], row["begin"], row["end"], Cause.SPOOL_DAMAGED)
            for row in build.rows("holes", run_ids=run_ids)
        ]
    return losses


def _quarantined(events: Sequence[dict[str, Any]]) -> list[Loss]:
    """Batches that ClickHouse refused and that were not sent again since."""
    refused, resent = {}, set()
    for event in events:
        detail = _detail(event)
        batch, run_id = str(detail.get("batch")), str(detail.get("run_id"))
        if event["kind"] == StreamEventKind.BATCH_RESENT:
            resent.add(batch)
        elif event["kind"] == StreamEventKind.BATCH_REFUSED:
            span = _span_of(event)
            # Ladders lack nothing where only quotes were refused.
            if detail.get("tables") != ["quote_frames"]:
                refused[batch] = Loss(run_id, span.begin, span.end, Cause.QUARANTINED)
    return [loss for batch, loss in refused.items() if batch not in resent]


def _lost_frames(events: Sequence[dict[str, Any]], trade_date: date) -> dict[str, int]:
    """Frames by paper user that took no number, since their disk refused them on the date."""
    lost: dict[str, int] = {}
    for event in events:
        count = _detail(event).get("lost_frames")
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


def _conids(build: Build, date_end: int) -> dict[str, int]:
    """Contract key -> conid: the newest resolution made before the date's end, else the first."""
    conids: dict[str, int] = {}
    for contract, conid, resolved in build.client.query(_CONTRACTS).result_rows:
        if contract not in conids or resolved * 1_000_000 < date_end:
            conids[contract] = conid
    return conids


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    """Detail of an event; empty when another version wrote something else."""
    try:
        detail = json.loads(event["detail"])
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


def _span_of(event: dict[str, Any]) -> Span:
    """``begin`` and ``end`` of the detail (ISO 8601 with offset), else the event's instant."""
    detail = _detail(event)
    try:
        span = Span(
            to_ns(datetime.fromisoformat(detail["begin"])),
            to_ns(datetime.fromisoformat(detail["end"])),
        )
    except (KeyError, TypeError, ValueError):
        return Span(event["at"], event["at"])
    return Span(min(span), max(span))


def date_of(value: date | datetime) -> date:
    """ClickHouse drivers answer dates as date or datetime."""
    return value.date() if isinstance(value, datetime) else value
