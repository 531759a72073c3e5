"""Runs of streamers around a trade date: their ends, their signs of life, their order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ib_platform.states import StreamEventKind
from ib_platform.warehouse.event_details import detail_of
from ib_platform.warehouse.evidence import Run


def run_of(row: dict[str, Any], events: Sequence[dict[str, Any]]) -> Run:
    """The run of a row of ``runs.sql``, and what events say of its end."""
    run = Run(row["paper_user"], row["run_id"], row["first_at"], row["last_at"])
    for event in events:
        if event["kind"] == StreamEventKind.RUN_STOPPED and event["run_id"] == run.run_id:
            run = replace(run, stopped=True, stop_cause=event["cause"])
        elif event["kind"] == StreamEventKind.RUN_RECOVERED:
            recovered = run.recovered or detail_of(event).get("run_id") == run.run_id
            run = replace(run, recovered=recovered)
    return run


def frames_of_runs(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Frames that a run received in all, where its end is known."""
    totals: dict[str, int] = {}
    for event in events:
        if event["kind"] == StreamEventKind.RUN_STOPPED:
            totals[event["run_id"]] = event["after_seq"]
        elif event["kind"] == StreamEventKind.RUN_RECOVERED:
            detail = detail_of(event)
            if isinstance(detail.get("frames"), int) and isinstance(detail.get("run_id"), str):
                totals.setdefault(detail["run_id"], detail["frames"])
    return totals


def told_runs(
    runs: Sequence[Run], rows: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]
) -> list[Run]:
    """``runs`` and those that have events only, each from its first to its last sign of life, and
    in their order. A drain is a run that only loads: it is there in nobody's place."""
    known = {run.run_id: run for run in runs}
    last_seqs = {row["run_id"]: row["last_seq"] for row in rows}
    drains = {event["run_id"] for event in events if detail_of(event).get("drain") is True}
    signs: dict[str, list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: int(event["event_no"])):
        # Sent again by a person, long after.
        if event["run_id"] not in drains and event["kind"] != StreamEventKind.BATCH_RESENT:
            signs.setdefault(event["run_id"], []).append(event)
    for run_id, told in signs.items():
        first, last = told[0], told[-1]
        if (run := known.get(run_id)) is None:
            row = {"paper_user": first["paper_user"], "run_id": run_id}
            run = run_of(row | {"first_at": first["at"], "last_at": last["at"]}, events)
        elif first["after_seq"] == 0:
            run = replace(run, first_at=first["at"])
        if last["after_seq"] > last_seqs.get(run_id, -1):
            run = replace(run, last_at=last["at"])
        known[run_id] = run
    return _in_order(known.values(), events)


def _in_order(runs: Iterable[Run], events: Sequence[dict[str, Any]]) -> list[Run]:
    """The runs with their places among those of their paper user."""
    named = {StreamEventKind.CLOCK_STEP: "after_run", StreamEventKind.RUN_RECOVERED: "run_id"}
    said = _by_monotonic_clock(events)
    said += [
        (event["run_id"], str(detail_of(event).get(named[event["kind"]])))
        for event in events
        if event["kind"] in named
    ]
    users: dict[str, list[Run]] = {}
    for run in runs:
        users.setdefault(run.paper_user, []).append(run)
    return [run for own in users.values() for run in in_order(own, said)]


def _by_monotonic_clock(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs (later, earlier) of runs of one start of the machine that follow each other."""
    boots: dict[str, list[tuple[int, str]]] = {}
    for event in events:
        detail = detail_of(event) if event["kind"] == StreamEventKind.RUN_STARTED else {}
        boot, monotonic = detail.get("boot_id"), detail.get("monotonic_ns")
        if isinstance(boot, str) and isinstance(monotonic, int):
            boots.setdefault(f"{event['paper_user']} {boot}", []).append(
                (monotonic, event["run_id"])
            )
    return [
        (later, earlier)
        for runs in boots.values()
        for (_, earlier), (_, later) in pairwise(sorted(runs))
    ]


def in_order(runs: Iterable[Run], said: Sequence[tuple[str, str]]) -> list[Run]:
    """The runs with their places as ``number``. ``said``: pairs (later, earlier) of run ids, as the
    later one says itself; ids of other runs and what contradicts itself are of no use."""
    order = sorted(runs, key=lambda run: (run.first_at, run.run_id))
    for _ in range(len(order)):
        before = [run.run_id for run in order]
        for later, earlier in said:
            ids = [run.run_id for run in order]
            if later in ids and earlier in ids and ids.index(later) < ids.index(earlier):
                place = ids.index(earlier)
                order.insert(place, order.pop(ids.index(later)))
        if before == [run.run_id for run in order]:
            break
    return [replace(run, number=number) for number, run in enumerate(order)]
