"""How long each book state was in force and in which phase of the market: against the twin, and
worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import (
    SECOND,
    Recorder,
    assign,
    full,
    record_capture,
    rows_of,
    trade_date,
)
from ib_platform_tests.warehouse.test_bars import breaks_of, phases_of
from ib_platform_tests.warehouse.test_depth import RANDOM, STEPS, clear, depth, play
from ib_platform_tests.warehouse.twin import lasting_states

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
BORDER = to_ns(trade_date_span(DAY)[1])
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
CL = "CL.NYMEX.front"


def stored(client: Any, day: date = DAY) -> list[tuple[int | None, str | None]]:
    """(nanoseconds in force, phase) of the table ``depth``, by time."""
    return list(
        client.query(
            "SELECT in_force_ns, phase FROM depth WHERE trade_date = {day:Date} "
            "ORDER BY received_at, run_id, seq",
            {"day": day},
        ).result_rows
    )


def assert_in_force(client: Any, recorders: list[Recorder], day: date) -> int:
    """The definition, over the spans of the last build, says what the twin says."""
    breaks, phases = breaks_of(client, day), phases_of(client, day)
    end = to_ns(trade_date_span(day)[1])
    wanted = {
        (lasting.state.run_id, lasting.state.seq): (
            max(0, min(lasting.until, end) - lasting.state.at),
            next(
                p.phase
                for p in phases
                if p.conid == lasting.state.conid and p.begin <= lasting.state.at < p.end
            ),
        )
        for recorder in recorders
        for lasting in lasting_states(recorder, breaks, phases)
        if trade_date(lasting.state.at) == day
    }
    found = {
        (row["run_id"], row["seq"]): (row["in_force_ns"], row["phase"])
        for row in depth(client, day)
    }
    assert found == wanted
    return len(found)


def test_every_state_of_the_capture(client: Any, config: PlatformConfig) -> None:
    recorder = record_capture()
    recorder.insert(client)
    days = sorted({trade_date(state.at) for state in recorder.states})
    for day in days:
        finalize(client, config, day, now=AFTER)
        assert_in_force(client, [recorder], day)
        by_definition = [
            (row["in_force_ns"], row["phase"])
            for row in sorted(depth(client, day), key=lambda r: (r["at"], r["run_id"], r["seq"]))
        ]
        assert stored(client, day) == by_definition


@settings(RANDOM, max_examples=6)
@given(first=STEPS, second=STEPS, offset=st.integers(-20, 900))
def test_random_streams(
    client: Any, config: PlatformConfig, first: Any, second: Any, offset: int
) -> None:
    """Around the border, and around 16:45 Chicago, when orders begin to gather."""
    clear(client)
    begin = BORDER + offset * SECOND
    recorders = [play(first, "run-a", begin), play(second, "run-b", begin)]
    for recorder in recorders:
        recorder.insert(client)
    for day in (DAY, date(2026, 11, 19)):
        build_open_date(client, config, day, now=AFTER)
        assert_in_force(client, recorders, day)


def test_until_the_next_state_of_its_epoch(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.ladder(NOON + 3 * SECOND, 1, rows_of(60 * SECOND, {11: 6}))
    recorder.event(NOON + 4 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, conid=1)
    recorder.ladder(NOON + 5 * SECOND, 1, full())
    recorder.other(NOON + 9 * SECOND)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored(client) == [(3 * SECOND, "open"), (2 * SECOND, "open"), (4 * SECOND, "open")]


def test_no_longer_than_until_a_gap(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.other(NOON + 2 * SECOND)
    recorder.event(NOON + 20 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.ladder(NOON + 60 * SECOND, 1, full())
    recorder.other(NOON + 61 * SECOND)
    recorder.insert(client)
    assign(client, [(CL, "alpha", 1)], NOON - 3600 * SECOND)
    finalize(client, config, DAY, now=AFTER)
    assert stored(client) == [(2 * SECOND, "open"), (1 * SECOND, "open")]


def test_no_longer_than_a_phase(client: Any, config: PlatformConfig) -> None:
    day, recorder = date(2026, 11, 19), Recorder("r")
    gathers = to_ns(datetime(2026, 11, 18, 22, 45, tzinfo=UTC))
    opens = gathers + 15 * 60 * SECOND
    for at in (gathers - SECOND, gathers + SECOND, opens - 2 * SECOND, opens, opens + SECOND):
        recorder.ladder(at, 1, full())
    recorder.other(opens + 5 * SECOND)
    recorder.insert(client)
    assign(client, [(CL, "alpha", 1)], gathers - 3600 * SECOND, calendar="cme_energy_metals")
    finalize(client, config, day, now=AFTER)
    assert stored(client, day) == [
        (SECOND, "maintenance"),
        (14 * 60 * SECOND + 57 * SECOND, "pre_open"),
        (2 * SECOND, "pre_open"),
        (SECOND, "open"),
        (4 * SECOND, "open"),
    ]


def test_what_came_after_the_last_build_is_not_known_yet(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    for second in range(3):
        recorder.ladder(NOON + second * SECOND, 1, full())
    recorder.insert(client)
    assert {(row["in_force_ns"], row["phase"]) for row in depth(client, DAY)} == {(None, None)}
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 1, tzinfo=UTC))
    later = Recorder("r", seq=recorder.seq, books=recorder.books)
    for second in range(5, 7):
        later.ladder(NOON + second * SECOND, 1, full())
    later.insert(client)
    found = [(row["in_force_ns"], row["phase"]) for row in depth(client, DAY)]
    assert found == [
        (SECOND, "open"), (SECOND, "open"), (3 * SECOND, "open"), (None, "open"), (None, "open"),
    ]  # fmt: skip
