"""The SQL definition of depth against LadderBook, the definition in Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.marketdata.prices import to_decimal
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.spans import to_ns
from ib_platform.warehouse.sql import query
from ib_platform_tests.support import CAPTURE_CONID
from ib_platform_tests.warehouse.recording import (
    SECOND,
    TICK,
    Recorder,
    State,
    full,
    record_capture,
    rows_of,
    trade_date,
)

NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
BORDER = to_ns(trade_date_span(date(2026, 11, 18))[1])


def depth(client: Any, day: date) -> list[dict[str, Any]]:
    """Rows of the definition for ``day``, in the table's order."""
    bound = {
        "trade_date": day,
        "read_from": day - timedelta(days=7),
        "own_rows": True,
        **{table: table for table in ("spells", "gaps", "phases")},
        "inputs_version": "test",
        "built_at": "2026-11-18 00:00:00.000",
    }
    sql = (
        "SELECT *, toUnixTimestamp64Nano(received_at) AS at "
        f"FROM ({query('depth')}) ORDER BY conid, received_at, run_id, seq"
    )
    return list(client.query(sql, bound).named_results())


def expected_row(state: State) -> dict[str, Any]:
    touch, update = state.touch, state.update
    return {
        "at": state.at,
        "conid": state.conid,
        "run_id": state.run_id,
        "seq": state.seq,
        "epoch": update.epoch,
        "window": update.window,
        "role": update.role.value,
        "top_price": to_decimal(update.top_price or 0),
        "sizes": list(state.book),
        "best_bid": None if touch.bid is None else to_decimal(touch.bid),
        "best_ask": None if touch.ask is None else to_decimal(touch.ask),
        "bid_size": touch.bid_size,
        "ask_size": touch.ask_size,
        "last_price": None if update.last_price is None else to_decimal(update.last_price),
        "last_size": update.last_size,
        "two_sided": touch.two_sided,
        "crossed": touch.crossed,
        "locked": touch.locked,
        "complete": state.complete,
        "suspect": update.suspect,
    }


def assert_agree(client: Any, recorders: list[Recorder], day: date) -> int:
    states = [s for r in recorders for s in r.states if trade_date(s.at) == day]
    states.sort(key=lambda s: (s.conid, s.at, s.run_id, s.seq))
    found = depth(client, day)
    wanted = [expected_row(state) for state in states]
    assert (
        [{key: row[key] for key in wanted[0]} for row in found] == wanted if wanted else not found
    )
    return len(found)


def test_every_state_of_the_capture(client: Any) -> None:
    recorder = record_capture()
    recorder.insert(client)
    days = sorted({trade_date(state.at) for state in recorder.states})
    assert sum(assert_agree(client, [recorder], day) for day in days) == 1525
    rows = [row for day in days for row in depth(client, day)]
    assert sum(row["two_sided"] for row in rows) == 1524
    assert not any(row["crossed"] or row["locked"] for row in rows)
    assert {row["epoch"] for row in rows} == {1}
    assert len({row["window"] for row in rows}) == 197
    assert {row["conid"] for row in rows} == {CAPTURE_CONID}


def test_no_size_of_an_old_window_survives_a_new_one(client: Any) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full(r0=-9, r20=9))
    recorder.ladder(NOON + 1, 1, full(top=61 * SECOND, r9=-1, r11=1))
    recorder.insert(client)
    last = depth(client, trade_date(NOON))[-1]
    assert [size for size in last["sizes"] if size] == [-1, 1]


def test_an_orphan_has_no_state(client: Any) -> None:
    recorder = Recorder("r")
    assert recorder.ladder(NOON, 1, rows_of(60 * SECOND, {3: 4})) is None
    recorder.ladder(NOON + 1, 1, full())
    recorder.insert(client)
    assert [row["seq"] for row in depth(client, trade_date(NOON))] == [1]


def test_a_book_carries_over_the_border_without_a_full_frame(client: Any) -> None:
    recorder = Recorder("r")
    recorder.ladder(BORDER - 2 * SECOND, 1, full(r8=-3, r9=-7, r11=5))
    recorder.ladder(BORDER - SECOND, 1, rows_of(60 * SECOND, {12: 4}))
    recorder.ladder(BORDER + SECOND, 1, rows_of(60 * SECOND, {9: 0}))
    recorder.insert(client)
    day = trade_date(BORDER)
    assert assert_agree(client, [recorder], day) == 1
    row = depth(client, day)[0]
    assert (row["ask_size"], row["bid_size"], row["complete"]) == (3, 5, True)


def test_a_book_carries_over_a_weekend(client: Any) -> None:
    recorder = Recorder("r")
    friday = to_ns(datetime(2026, 11, 20, 22, tzinfo=UTC))
    recorder.ladder(friday, 1, full())
    recorder.ladder(friday + 72 * 3600 * SECOND, 1, rows_of(60 * SECOND, {10: 8}))
    recorder.insert(client)
    assert assert_agree(client, [recorder], date(2026, 11, 23)) == 1


def test_frames_stored_twice_count_once(client: Any) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    client.insert("ladder_frames", [recorder.ladders[0]] * 2)
    client.insert("ladder_frames", recorder.ladders)
    assert len(depth(client, trade_date(NOON))) == 1


def test_the_ladder_around_zero_and_negative_prices(client: Any) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full(top=10 * TICK, r10=0))
    recorder.ladder(NOON + 1, 1, rows_of(70 * SECOND, {9: -2, 11: 3}))
    recorder.ladder(NOON + 2, 1, full(top=-37 * SECOND))
    recorder.insert(client)
    assert assert_agree(client, [recorder], trade_date(NOON)) == 3


SIZES = st.dictionaries(st.integers(0, WINDOW_ROWS - 1), st.integers(-9, 9), min_size=1, max_size=8)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["delta", "delta", "delta", "full", "full", "request", "lost", "broken", "reprice"]
        ),
        st.integers(0, 1),
        SIZES,
        st.integers(-3, 3),
        st.sampled_from([0, 1, 300_000_000, 7 * SECOND]),
        st.none() | st.tuples(st.integers(0, WINDOW_ROWS - 1), st.integers(1, 2)),
    ),
    max_size=40,
)


def play(steps: Any, run_id: str, begin: int) -> Recorder:
    """A run that takes ``steps``: (what, contract, sizes, window shift, time since the last,
    row and size of a trade)."""
    recorder, at = Recorder(run_id), begin
    for what, contract, sizes, shift, after, trade in steps:
        at += after
        conid = 100 + contract
        book = recorder.book(conid)
        top = 60 * SECOND if book.top_price is None else book.top_price
        if what == "full":
            everything = dict.fromkeys(range(WINDOW_ROWS), 0) | sizes
            recorder.ladder(at, conid, rows_of(top + shift * TICK, everything, trade))
        elif what == "delta":
            recorder.ladder(at, conid, rows_of(top, sizes, trade))
        elif what == "reprice":
            recorder.ladder(at, conid, rows_of(top + shift * TICK, sizes, trade))
        elif what == "request":
            recorder.event(at, StreamEventKind.SUBSCRIBE_REQUESTED, conid=conid)
        elif what == "lost":
            recorder.event(at, StreamEventKind.DISCONNECTED, "session_lost")
        else:
            recorder.broken(at, conid)
    recorder.other(at)
    return recorder


RANDOM = settings(
    max_examples=15,
    deadline=None,
    # Shrinking would rebuild hundreds of times in ClickHouse; the steps are short enough to read.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def clear(client: Any) -> None:
    for table in ("frames", "ladder_frames", "stream_events"):
        client.command(f"TRUNCATE TABLE {table}")


@RANDOM
@given(first=STEPS, second=STEPS, offset=st.integers(-20, 5))
def test_random_streams(client: Any, first: Any, second: Any, offset: int) -> None:
    clear(client)
    begin = BORDER + offset * SECOND
    recorders = [play(first, "run-a", begin), play(second, "run-b", begin)]
    for recorder in recorders:
        recorder.insert(client)
    for day in (date(2026, 11, 18), date(2026, 11, 19)):
        assert_agree(client, recorders, day)
