"""Damage that took the first frames of a run: none is before them, and yet they lie in a gap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.evidence import Evidence, Loss, Run, Spell, StepBack
from ib_platform.warehouse.gaps import find_gaps
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform.warehouse.sql import query
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full, trade_date

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
CL = "CL.NYMEX.front"


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connected = connect(warehouse, role="tests")
    yield connected
    connected.close()


@pytest.fixture
def config(warehouse: ClickHouse, tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path, clickhouse=warehouse.model_dump())


def ladders(run: Recorder, begin: int, end: int) -> None:
    """A full frame each second from ``begin`` to ``end``, seconds after NOON."""
    for second in range(begin, end + 1):
        run.ladder(NOON + second * SECOND, 1, full())


def torn(run: Recorder, second: int, *, lost: int, of: str = "alpha-2") -> None:
    """The event of a loader that stepped over the first frames of the run ``of``."""
    numbers = {"run_id": of, "next_seq": 0, "found_seq": lost}
    run.event(NOON + second * SECOND, StreamEventKind.SPOOL_TORN, "spool_damaged", **numbers)


def second_run(*, started: int | None, first: int, last: int) -> Recorder:
    """A run of whose frames the first sixty are lost."""
    run = Recorder("alpha-2")
    if started is not None:
        run.event(NOON + started * SECOND, StreamEventKind.RUN_STARTED)
    run.seq = 60
    ladders(run, first, last)
    return run


def stored_gaps(client: Any) -> list[tuple[float, float, str]]:
    """Seconds after NOON of begin and end, and the cause, of the gaps before the last."""
    rows = client.query(
        "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause FROM gaps "
        "ORDER BY begin"
    ).result_rows
    return [((b - NOON) / SECOND, (e - NOON) / SECOND, cause) for b, e, cause in rows[:-1]]


def test_a_run_that_follows_at_once(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND, grace=0)
    first, second = Recorder("alpha-1"), second_run(started=60, first=120, last=179)
    ladders(first, -5, 59)
    first.event(NOON + 59 * SECOND + 1, StreamEventKind.RUN_STOPPED)
    torn(second, 180, lost=60)
    for run in (first, second):
        run.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored_gaps(client) == [(59, 60, "not_assigned"), (60, 120, "spool_damaged")]


def test_the_first_run_of_all(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND, grace=0)
    run = second_run(started=0, first=60, last=100)
    torn(run, 101, lost=60)
    run.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored_gaps(client) == [(-5, 0, "not_assigned"), (0, 60, "spool_damaged")]


def _between(begin: int, end: int) -> dict[str, str]:
    return {
        name: datetime.fromtimestamp((NOON + second * SECOND) / SECOND, UTC).isoformat()
        for name, second in (("begin", begin), ("end", end))
    }


def test_a_run_whose_first_frames_a_full_disk_refused(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND, grace=0)
    first, second = Recorder("alpha-1"), Recorder("alpha-2")
    ladders(first, -5, 59)
    second.event(NOON + 62 * SECOND, StreamEventKind.RUN_STARTED)
    lost = {"lost_frames": 60, **_between(63, 100)}
    second.event(NOON + 100 * SECOND, StreamEventKind.FRAMES_LOST, "disk_full", **lost)
    about = {"run_id": "alpha-1", "frames": 65}
    second.event(NOON + 101 * SECOND, StreamEventKind.RUN_RECOVERED, "streamer_died", **about)
    ladders(second, 102, 179)
    for run in (first, second):
        run.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored_gaps(client) == [(59, 63, "streamer_died"), (63, 102, "disk_full")]


def test_a_run_whose_first_batch_was_refused(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND, grace=0)
    first, second = Recorder("alpha-1"), second_run(started=62, first=120, last=179)
    ladders(first, -5, 59)
    about = {"run_id": "alpha-1", "frames": 65}
    second.event(NOON + 101 * SECOND, StreamEventKind.RUN_RECOVERED, "streamer_died", **about)
    refused = {"batch": "b", "run_id": "alpha-2", "first_seq": 0, "last_seq": 59, "frames": 60}
    told = {**refused, "tables": ["frames"], **_between(63, 119)}
    second.event(NOON + 180 * SECOND, StreamEventKind.BATCH_REFUSED, "quarantined", **told)
    for run in (first, second):
        run.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored_gaps(client) == [(59, 63, "streamer_died"), (63, 120, "quarantined")]


HOLE = ("alpha-2", -1, 60)


@pytest.mark.parametrize(
    ("started", "begin"),
    [
        (60, 60),
        # Its first events are lost too.
        (None, 120),
        # The clock was set back since: how long it was, nobody knows.
        (300, 120),
    ],
)
def test_where_the_hole_begins(client: Any, started: int | None, begin: int) -> None:
    second_run(started=started, first=120, last=122).insert(client)
    rows = holes(client, DAY, DAY)
    assert rows == [(*HOLE, NOON + begin * SECOND, NOON + 120 * SECOND, (120 - begin) * SECOND)]


@pytest.mark.parametrize("stored", [1, 60])
def test_frames_of_a_date_that_is_not_looked_at_are_not_lost(client: Any, stored: int) -> None:
    """And whether they lack any is the business of that date."""
    run = Recorder("alpha-2")
    day_before = NOON - 86_400 * SECOND
    for number in range(stored):
        run.ladder(day_before + number * SECOND, 1, full())
    run.seq = 60
    ladders(run, 120, 122)
    run.insert(client)
    assert holes(client, DAY, DAY) == []
    within = holes(client, trade_date(day_before), DAY)
    assert [row[:3] for row in within] == ([] if stored == 60 else [("alpha-2", 0, 60)])


def test_a_run_of_whose_beginning_nothing_is_lost(client: Any) -> None:
    run = Recorder("alpha-2")
    run.event(NOON - SECOND, StreamEventKind.RUN_STARTED)
    ladders(run, 0, 2)
    run.insert(client)
    assert holes(client, DAY, DAY) == []


def holes(client: Any, read_from: date, read_to: date) -> list[tuple[Any, ...]]:
    parameters = {"read_from": read_from, "read_to": read_to, "run_ids": ["alpha-2", "unknown"]}
    return [tuple(row) for row in client.query(query("holes"), parameters=parameters).result_rows]


def told(**more: Any) -> Evidence:
    """One run up to 10, another from 20 on whose ladder is followed from 40 on."""
    spells = [
        Spell(1, "alpha", "r", 1, 0, 10, 10, "run_end", None, 0, 9),
        Spell(1, "alpha", "s", 1, 40, 60, 60, "run_end", None, 60, 79),
    ]
    runs = [Run("alpha", "r", 0, 10, recovered=True), Run("alpha", "s", 20, 60)]
    loss = Loss("s", 20, 35, Cause.SPOOL_DAMAGED, (0, 60))
    fields: dict[str, Any] = {"silences": [], "causes": [], "silent_after": 1000, **more}
    fields.setdefault("losses", [loss])
    return Evidence("alpha", spells, runs=runs, **fields)


def gaps(expected: Span, evidence: Evidence) -> list[tuple[int, int, Cause]]:
    return [(gap.begin, gap.end, gap.cause) for gap in find_gaps([expected], evidence)]


@pytest.mark.parametrize(
    ("expected", "wanted"),
    [
        # Until the ladder is followed again, since what it began with is lost.
        (Span(0, 60), [(10, 20, Cause.STREAMER_DIED), (20, 40, Cause.SPOOL_DAMAGED)]),
        # A contract that was assigned meanwhile.
        (Span(25, 60), [(25, 40, Cause.SPOOL_DAMAGED)]),
        (Span(50, 60), []),
    ],
)
def test_the_cause_begins_with_the_run(expected: Span, wanted: Any) -> None:
    assert gaps(expected, told()) == wanted


@pytest.mark.parametrize("cause", [Cause.SPOOL_DAMAGED, Cause.QUARANTINED, Cause.DISK_FULL])
def test_frames_of_other_topics_before_a_loss_change_nothing(cause: Cause) -> None:
    """Found by a reviewer: what is received first is no ladder."""
    loss = Loss("s", 22, 35, cause, (4, 60))
    assert gaps(Span(0, 60), told(losses=[loss])) == [
        (10, 22, Cause.STREAMER_DIED),
        (22, 40, cause),
    ]


def test_the_beginning_of_another_pod_explains_nothing() -> None:
    loss = Loss("of_beta", 20, 35, Cause.SPOOL_DAMAGED, (0, 60))
    assert gaps(Span(0, 60), told(losses=[loss])) == [(10, 40, Cause.STREAMER_DIED)]


def test_a_clock_that_was_set_back_before_the_run() -> None:
    """When it showed 35, to 20: the ladder of the first run ended in another pass."""
    step = StepBack("s", 0, until=35, since=20)
    loss = Loss("s", 20, 35, Cause.SPOOL_DAMAGED, (0, 60))
    evidence = told(steps=[step], losses=[loss])
    assert gaps(Span(0, 60), evidence) == [
        (10, 35, Cause.STREAMER_DIED),
        (35, 40, Cause.SPOOL_DAMAGED),
    ]
