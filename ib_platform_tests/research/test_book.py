"""``book_at``: the last state before an instant, how old it is, and whether it was still true."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas
import pytest

from ib_platform.config import ClickHouse
from ib_platform.research.api import Warehouse
from ib_platform.states import Cause
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.research.conftest import (
    BEGIN,
    CL,
    ES,
    NOON,
    NOON_NS,
    THURSDAY,
    THURSDAY_NOON,
    TUESDAY,
    WEDNESDAY,
    Recorded,
)
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

TICK = Decimal("0.01")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_between_two_frames(warehouse_of_record: Warehouse) -> None:
    book = warehouse_of_record.book_at(CL, NOON + seconds(5.5))
    assert (book.contract, book.conid, book.known, book.gap) == (CL, 2, True, None)
    assert book.at == NOON + seconds(5.5)
    state = book.state
    assert state is not None
    assert state.received_at == NOON + seconds(4)
    assert state.received_at_ns == NOON_NS + 4 * SECOND
    assert state.age_seconds == 1.5
    assert list(state.sizes.items()) == [
        (Decimal("59.92"), -3),
        (Decimal("59.91"), -7),
        (Decimal("59.89"), 5),
        (Decimal("59.88"), 4),
    ]
    assert (state.best_bid, state.best_ask, state.tick) == (
        Decimal("59.89"),
        Decimal("59.91"),
        TICK,
    )
    assert (state.role, state.run_id, state.paper_user) == ("full", "run-wednesday", "alpha")
    assert (state.two_sided, state.complete, state.crossed, state.locked) == (
        True,
        True,
        False,
        False,
    )
    assert (state.suspect, state.doubts) == (False, ())


@pytest.mark.parametrize(
    ("offset", "second"), [(-1, None), (0, 0), (1, 0), (2 * SECOND - 1, 0), (2 * SECOND, 2)]
)
def test_a_frame_counts_from_its_own_nanosecond(
    warehouse_of_record: Warehouse, offset: int, second: int | None
) -> None:
    book = warehouse_of_record.book_at(CL, pandas.Timestamp(NOON_NS + offset, tz="UTC"))
    if second is None:
        assert book.state is None
        assert not book.known
    else:
        assert book.state is not None
        assert book.state.received_at_ns == NOON_NS + second * SECOND
        assert book.state.age_seconds == (offset - second * SECOND) / SECOND


def test_against_everything_that_was_recorded(
    warehouse_of_record: Warehouse, recorded: Recorded
) -> None:
    states = recorded.states[TUESDAY]
    times = [state.at for state in states]
    for at in range(BEGIN[TUESDAY] + 7 * SECOND, BEGIN[WEDNESDAY], 9_999 * SECOND):
        expected = states[bisect_right(times, at) - 1]
        found = warehouse_of_record.book_at(1, datetime.fromtimestamp(at // SECOND, UTC)).state
        assert found is not None
        assert found.received_at_ns == expected.at
        assert sorted(found.sizes.values()) == sorted(size for size in expected.book if size)


def test_in_a_gap_its_cause_is_the_answer(warehouse_of_record: Warehouse) -> None:
    book = warehouse_of_record.book_at(CL, NOON + timedelta(hours=2))
    assert not book.known
    assert book.gap is not None
    assert book.gap.cause is Cause.COMPETING_LOGIN
    assert book.gap.begin < book.at < book.gap.end
    assert book.why_unknown is not None
    assert book.why_unknown.startswith("a gap from 2026-11-18T18:0")
    assert book.why_unknown.endswith(": competing_login")
    assert book.state is not None, "what was last seen is told all the same"
    assert book.state.age_seconds > 7000


def test_a_conid_has_the_gaps_of_its_key(warehouse_of_record: Warehouse) -> None:
    at = NOON + timedelta(hours=2)
    by_key, by_conid = warehouse_of_record.book_at(CL, at), warehouse_of_record.book_at(2, at)
    assert by_conid.contract == "conid.2"
    assert (by_conid.gap, by_conid.state) == (by_key.gap, by_key.state)


def test_a_key_means_what_it_meant_on_the_trade_date(warehouse_of_record: Warehouse) -> None:
    border = datetime.fromtimestamp(BEGIN[WEDNESDAY] // SECOND, UTC)
    before = warehouse_of_record.book_at(CL, border - seconds(30))
    assert (before.conid, before.known) == (1, True)
    assert before.state is not None
    assert before.state.run_id == "run-tuesday"
    after = warehouse_of_record.book_at(CL, border)
    assert (after.conid, after.known, after.state) == (2, False, None)
    assert after.gap is not None
    assert after.gap.begin == border


def test_text_names_an_instant_too(warehouse_of_record: Warehouse) -> None:
    by_text = warehouse_of_record.book_at(CL, "2026-11-18T12:00:05-06:00")
    assert by_text == warehouse_of_record.book_at(CL, NOON + seconds(5))


def test_a_contract_that_never_came(warehouse_of_record: Warehouse) -> None:
    book = warehouse_of_record.book_at(ES, NOON)
    assert (book.known, book.state) == (False, None)
    assert book.gap is not None
    assert book.gap.cause is Cause.NOT_ASSIGNED
    assert book.gap.end - book.gap.begin == timedelta(days=1)


def test_long_before_anything(warehouse_of_record: Warehouse) -> None:
    book = warehouse_of_record.book_at(CL, NOON - timedelta(days=30))
    assert (book.known, book.state, book.gap) == (False, None, None)
    assert book.why_unknown == "no book state was recorded in the week before"


def test_a_crossed_book_is_in_doubt(warehouse_of_record: Warehouse) -> None:
    state = warehouse_of_record.book_at(CL, NOON + seconds(120.5)).state
    assert state is not None
    assert (state.crossed, state.suspect) == (True, True)
    assert Cause.CROSSED_BOOK in state.doubts


def test_a_frame_that_was_lost_after_the_state_is_a_doubt(warehouse_of_record: Warehouse) -> None:
    state = warehouse_of_record.book_at(CL, NOON + seconds(121.5)).state
    assert state is not None
    assert state.received_at == NOON + seconds(120)
    assert Cause.UNDECODABLE in state.doubts
    before = warehouse_of_record.book_at(CL, NOON + seconds(120.9)).state
    assert before is not None
    assert Cause.UNDECODABLE not in before.doubts


def test_an_open_date_is_known_as_far_as_it_was_built(
    warehouse_of_record: Warehouse, recorded: Recorded
) -> None:
    last = datetime.fromtimestamp(recorded.states[THURSDAY][-1].at // SECOND, UTC)
    during = warehouse_of_record.book_at(CL, THURSDAY_NOON + seconds(10))
    assert during.known
    assert during.state is not None
    assert during.state.received_at == THURSDAY_NOON + seconds(9)
    assert warehouse_of_record.book_at(CL, last).known
    after = warehouse_of_record.book_at(CL, last + seconds(1))
    assert not after.known
    assert after.state is not None
    assert after.why_unknown == (
        "the ladder was followed until 2026-11-19T18:00:57+00:00, as far as built"
    )


def test_a_book_is_carried_over_the_border(warehouse: ClickHouse) -> None:
    """Nothing is built here, and the last frame lies in the date before."""
    client = connect(warehouse)
    border = BEGIN[THURSDAY]
    assign(client, [(CL, "alpha", 1)], border - 100 * SECOND)
    recorder = Recorder("run")
    recorder.ladder(border - 5 * SECOND, 1, full(r8=-1, r9=-7, r11=5))
    recorder.insert(client)
    client.close()
    with Warehouse(warehouse) as opened:
        at = datetime.fromtimestamp(border // SECOND, UTC) + seconds(2)
        book = opened.book_at(CL, at)
        assert book.state is not None
        assert book.state.age_seconds == 7
        assert book.why_unknown == "no build says yet whether the ladder was still followed"
        exactly = opened.book_at(CL, at - seconds(7))
        assert exactly.known, "a frame of that very instant needs no build"
        assert to_ns(exactly.at) == border - 5 * SECOND
