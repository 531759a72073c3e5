"""Silences beside other ladders, renewals, sources, overlapping pods, suspect time. Pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import Cause
from ib_platform.warehouse.checks.around import (
    longest_spell,
    longest_without_renewal,
    one_source,
    pods_overlap,
    silences,
    sources_said,
    suspects,
)
from ib_platform.warehouse.contract_days import ContractDay
from ib_platform.warehouse.evidence import Gap, Run, Spell
from ib_platform.warehouse.spans import SECOND, Span

ALWAYS = Span(0, 1000 * SECOND)
DATE = Span(100 * SECOND, 900 * SECOND)


def spell(begin: int, end: int, *, user: str = "alpha", conid: int = 1) -> Spell:
    return Spell(
        conid, user, f"run-{user}", 1, begin * SECOND, end * SECOND, end * SECOND, "run_end", None
    )


def day(
    *gaps: tuple[int, int], cause: Cause = Cause.SILENT_LADDER, spells: list[Spell] | None = None
) -> ContractDay:
    return ContractDay(
        "CL.NYMEX.front", 1, "alpha", True, [ALWAYS],
        [Gap(begin * SECOND, end * SECOND, cause) for begin, end in gaps],
        {}, [ALWAYS], [spell(0, 1000)] if spells is None else spells,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        # The other ladder never paused.
        ([day()], (100, 0, 100)),
        # It paused at the same time, a little later.
        ([day((110, 205))], (100, 0, 0)),
        # It went on for longer than the limit before it paused as well.
        ([day((140, 260))], (100, 0, 40)),
        # One of two went on.
        ([day((100, 200)), day()], (100, 0, 100)),
        ([], (100, 100, 0)),
        # It was not followed then, so it tells nothing.
        ([day(spells=[spell(0, 90)])], (100, 100, 0)),
        ([day((90, 300), spells=[spell(0, 90), spell(300, 1000)])], (100, 100, 0)),
    ],
)
def test_a_silence_is_judged_by_other_ladders(
    others: list[ContractDay], expected: tuple[float, float, float]
) -> None:
    found = silences(day((100, 200)), others, 30.0)
    assert (found.total, found.alone, found.while_others) == expected


def test_other_gaps_are_no_silence() -> None:
    found = silences(day((100, 200), cause=Cause.DISCONNECTED), [day()], 30.0)
    assert (found.total, found.alone, found.while_others) == (0, 0, 0)


def event(at: int, kind: str, run_id: str = "r", cause: str | None = None, **detail: Any) -> Any:
    return {
        "at": at * SECOND, "kind": kind, "run_id": run_id, "cause": cause,
        "detail": json.dumps(detail),
    }  # fmt: skip


def asked(at: int, conid: int = 1, run_id: str = "r") -> Any:
    return event(at, "subscribe_requested", run_id, topic="smd", conid=conid)


RUNS = [Run("alpha", "r", 0, 800 * SECOND), Run("alpha", "s", 0, 850 * SECOND)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], None),
        ([asked(100)], 700),
        ([asked(100), asked(500)], 400),
        ([asked(100), asked(500, conid=2)], 700),
        ([asked(100), event(300, "disconnected")], 200),
        ([asked(100), event(300, "disconnected", "s")], 700),
        ([asked(100), event(300, "run_stopped")], 200),
        ([asked(100), event(300, "session_changed")], 700),
        ([asked(100), event(300, "session_changed", cause="session_lost")], 200),
        ([asked(100), event(250, "unsubscribed", topic="umd", conid=1), asked(700)], 150),
        ([asked(100, run_id="s")], 750),
        ([asked(10), asked(50)], 750),
        # What was renewed before the date is none of its matter.
        ([asked(0), asked(90), asked(890)], 800),
        ([event(100, "subscribe_requested", topic="sbd")], None),
    ],
)
def test_the_longest_time_without_a_renewal(events: list[Any], expected: float | None) -> None:
    assert longest_without_renewal([1], events, RUNS, DATE) == expected


@given(st.lists(st.integers(100, 800), min_size=1, max_size=20, unique=True))
def test_renewals_only_shorten_it(instants: list[int]) -> None:
    instants.sort()
    found = longest_without_renewal([1], [asked(at) for at in instants], RUNS, DATE)
    ends = [*instants[1:], 800]
    assert found == max(end - begin for begin, end in zip(instants, ends, strict=True))


def test_what_runs_said_of_their_source() -> None:
    events = [
        event(0, "run_started", "a", source="simulated"),
        event(0, "run_started", "b", pid=7),
        event(0, "run_started", "c", source=3),
        event(0, "connected", "d", source="ibkr"),
    ]
    said = sources_said(events)
    assert said == {"a": "simulated", "b": None, "c": None}
    assert one_source(["a", "b"], said) == "simulated"
    assert one_source(["b", "z"], said) is None
    assert one_source(["a", "e"], {**said, "e": "ibkr"}) == "mixed"
    assert one_source([], said) is None


@pytest.mark.parametrize(
    ("spells", "expected"),
    [
        ([], False),
        ([spell(0, 10), spell(5, 15)], False),
        ([spell(0, 10), spell(10, 20, user="beta")], False),
        ([spell(0, 10), spell(9, 20, user="beta")], True),
        ([spell(0, 5), spell(6, 9, user="beta"), spell(8, 20, user="gamma")], True),
    ],
)
def test_two_pods_at_once(spells: list[Spell], expected: bool) -> None:
    assert pods_overlap(day(spells=spells)) is expected


def test_suspect_time_counts_once_and_where_something_was_recorded() -> None:
    windows = [
        {"conid": 1, "begin": 0, "end": 20 * SECOND, "cause": "late_stamps"},
        {"conid": 1, "begin": 10 * SECOND, "end": 40 * SECOND, "cause": "crossed_book"},
        {"conid": 2, "begin": 0, "end": 99 * SECOND, "cause": "late_stamps"},
    ]
    found = suspects(1, windows, [Span(5 * SECOND, 30 * SECOND)])
    assert (found.windows, found.seconds) == (2, 25)
    assert found.by_cause == {"late_stamps": 15, "crossed_book": 20}
    assert suspects(None, windows, []).windows == 0


def test_the_longest_crossed_time() -> None:
    rows = [
        {"conid": 1, "run_id": "r", "begin": 0, "end": SECOND},
        {"conid": 1, "run_id": "r", "begin": SECOND, "end": 3 * SECOND},
        {"conid": 1, "run_id": "s", "begin": 3 * SECOND, "end": 4 * SECOND},
        {"conid": 2, "run_id": "r", "begin": 0, "end": 9 * SECOND},
    ]
    assert longest_spell(1, rows) == 3
    assert longest_spell(3, rows) == 0
