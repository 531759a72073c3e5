"""Which dates are due since a later run has told of one that was there on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.late_inputs import TOLD_LATER, late_inputs
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import Recorder, full

DIED, TORN = StreamEventKind.RUN_RECOVERED, StreamEventKind.SPOOL_TORN


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connected = connect(warehouse, role="tests")
    yield connected
    connected.close()


def noon(day: int) -> int:
    """Of a day of November 2026, UTC; the 16th is a Monday."""
    return to_ns(datetime(2026, 11, day, 18, tzinfo=UTC))


def run_on(client: Any, *days: int, events_on: tuple[int, ...] = ()) -> None:
    run = Recorder("alpha-1")
    for day in days:
        run.ladder(noon(day), 1, full())
    for day in events_on:
        run.event(noon(day), StreamEventKind.RUN_STARTED)
    run.insert(client)


def tell(client: Any, day: int, *kinds: StreamEventKind, of: Any = "alpha-1") -> None:
    """By another run, on the day."""
    teller = Recorder(f"alpha-{day}")
    for kind in kinds:
        teller.event(noon(day), kind, "streamer_died", run_id=of)
    teller.insert(client)


def due(client: Any) -> dict[int, int]:
    """How many events were told later, by the day of November."""
    rows = list(late_inputs(client))
    assert {row[1:3] for row in rows} <= {("alpha-1", TOLD_LATER)}
    assert all(day.replace(day=1) == date(2026, 11, 1) for day, *_ in rows)
    return {day.day: count for day, _, _, count, _ in rows}


@pytest.mark.parametrize(
    ("told_on", "kinds", "wanted"),
    [
        # On its last date: an event of that date is an input anyway.
        (18, [DIED], []),
        (19, [DIED], [18]),
        # Over the weekend, and as long as a date remembers its runs.
        (30, [DIED], [18, 19, 20, 23, 24, 25]),
        # Damage may lie on any of its dates.
        (18, [TORN], [16, 17]),
        (19, [TORN], [16, 17, 18]),
    ],
)
def test_the_dates_that_it_may_change(
    client: Any, told_on: int, kinds: list[StreamEventKind], wanted: list[int]
) -> None:
    run_on(client, 16, 17, 18)
    tell(client, told_on, *kinds)
    assert due(client) == dict.fromkeys(wanted, 1)


def test_each_telling_counts(client: Any) -> None:
    run_on(client, 18)
    tell(client, 19, DIED, TORN)
    assert due(client) == {18: 2}
    tell(client, 20, TORN)
    assert due(client) == {18: 3, 19: 1}


def test_a_run_without_frames_was_there_too(client: Any) -> None:
    run_on(client, events_on=(17,))
    tell(client, 19, DIED)
    assert due(client) == {17: 1, 18: 1}


@pytest.mark.parametrize("name", ["alpha-0", None, 7, ""])
def test_a_run_that_nobody_knows_is_no_input(client: Any, name: Any) -> None:
    run_on(client, 18)
    tell(client, 19, DIED, of=name)
    assert due(client) == {}
