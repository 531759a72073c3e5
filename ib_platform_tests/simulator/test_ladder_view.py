"""The ladder as the platform's own decoder reads it: the observed semantics, over many seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.marketdata.book import FrameRole, LadderBook, LadderUpdate
from ib_platform.marketdata.frames import classify
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_view import LadderParameters, LadderView, encode_ladder
from ib_platform.simulator.market import Market

CATALOGUE = Catalogue.on(date(2026, 11, 22))
SYMBOLS = st.sampled_from(CATALOGUE.symbols)
SEEDS = st.integers(0, 2**32)
ALWAYS_THE_TOUCH = LadderParameters(one_side_share=0.0, no_side_share=0.0)
GRID = 0.3


def view(symbol: str, seed: int, parameters: LadderParameters | None = None) -> LadderView:
    market = Market(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0)
    return LadderView(market, seed=seed, parameters=parameters)


def frames(
    subject: LadderView, seconds: float, *, requests: tuple[float, ...] = (0.0,)
) -> Iterator[tuple[float, bytes]]:
    """Frames of a subscription that is (re-)requested at the given instants."""
    waiting = list(requests)
    for point in range(int(seconds / GRID)):
        now = point * GRID
        while waiting and waiting[0] <= now:
            subject.request(waiting.pop(0))
        if (rows := subject.poll(now)) is not None:
            yield now, encode_ladder("DU1000001", 42, rows)


def decoded(payload: bytes) -> LadderRows:
    rows = decode_ladder(payload)
    assert isinstance(rows, LadderRows), (rows, payload)
    return rows


def applied(book: LadderBook, payload: bytes) -> LadderUpdate:
    update = book.apply(decoded(payload))
    assert isinstance(update, LadderUpdate), (update, payload)
    return update


@settings(max_examples=40, deadline=None)
@given(SYMBOLS, SEEDS, st.lists(st.floats(1, 110), max_size=4))
def test_every_frame_reads_and_no_state_is_crossed(
    symbol: str, seed: int, requests: list[float]
) -> None:
    book = LadderBook()
    for _, payload in frames(view(symbol, seed), 120, requests=(0.0, *sorted(requests))):
        update = applied(book, payload)
        assert update.role in (FrameRole.FULL, FrameRole.DELTA)
        assert not update.suspect
        touch = book.touch()
        assert not touch.crossed
        assert not touch.locked


@settings(max_examples=25, deadline=None)
@given(SYMBOLS, SEEDS)
def test_the_carried_book_equals_the_market(symbol: str, seed: int) -> None:
    market = Market(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0)
    subject, book = LadderView(market, seed=seed), LadderBook()
    tick = int(market.contract.product.tick * 1_000_000_000)
    seen = 0
    for now, payload in frames(subject, 60):
        applied(book, payload)
        if now < 6:
            continue
        seen += 1
        assert book.top_price is not None
        top = book.top_price // tick
        assert book.sizes == [market.size_at(top - row) for row in range(21)]
    assert seen > 10


@settings(max_examples=25, deadline=None)
@given(SYMBOLS, SEEDS)
def test_a_delta_holds_the_rows_that_changed_and_no_other(symbol: str, seed: int) -> None:
    shown: dict[int, object] = {}
    for _, payload in frames(view(symbol, seed), 90):
        rows = {row["row"]: row for row in json.loads(payload)["data"]}
        if len(rows) < 21:
            assert rows
            assert all(shown[number] != row for number, row in rows.items())
        shown |= rows
        focus = [row for row in shown.values() if row["focus"] == 1]  # type: ignore[index]
        assert len(focus) == 1, "the last trade's row, and the old one was re-sent plain"


@settings(max_examples=25, deadline=None)
@given(SYMBOLS, SEEDS)
def test_the_form_of_rows(symbol: str, seed: int) -> None:
    for _, payload in frames(view(symbol, seed), 20):
        message = json.loads(payload)
        assert list(message) == ["topic", "data"]
        assert message["topic"] == "sbd+DU1000001+42"
        assert classify(payload).conid == 42
        for row in message["data"]:
            assert set(row) <= {"row", "focus", "price", "bid", "ask"}
            assert not {"bid", "ask"} <= set(row)
            assert isinstance(row["price"], str)
            assert (" @ " in row["price"]) == (row["focus"] == 1)
            assert all(row[side].isdigit() and row[side] != "0" for side in row.keys() & {"bid"})


@settings(max_examples=30, deadline=None)
@given(SYMBOLS, SEEDS)
def test_a_requested_window_warms_up(symbol: str, seed: int) -> None:
    """Full frame soon after the request with the touch alone; depth in one big delta."""
    book, updates = LadderBook(), []
    for now, payload in frames(view(symbol, seed, ALWAYS_THE_TOUCH), 6):
        updates.append((now, applied(book, payload), book.complete))
    laid, first, complete = updates[0]
    assert first.role is FrameRole.FULL
    assert 0.2 <= laid <= 1.2 + GRID
    assert not complete
    assert sum(size != 0 for size in first.sizes if size is not None) == 2
    assert first.last_price is not None
    filled = next(now for now, _, complete in updates if complete)
    assert laid + 0.3 <= filled <= laid + 3.5 + 2 * GRID
    big = next(update for now, update, _ in updates if now == filled)
    assert sum(size is not None for size in big.sizes) >= 12


def test_windows_are_laid_again_unasked_and_with_depth() -> None:
    unsolicited = 0
    for seed in range(4):
        book = LadderBook()
        for now, payload in frames(view("CL", seed), 900):
            rows = decoded(payload)
            update = applied(book, payload)
            if update.role is FrameRole.FULL and now > 6:
                unsolicited += 1
                assert rows.rows[10].focus, "laid around the last trade"
                assert book.complete
                assert book.epoch == 1, "no request, no new epoch"
    assert unsolicited >= 10


def test_the_last_trade_never_lies_outside_the_window() -> None:
    book = LadderBook()
    for _, payload in frames(view("NQ", 9), 600):
        applied(book, payload)
        last = decoded(payload).last_trade
        if last is not None:
            assert book.top_price is not None
            assert book.tick is not None
            assert book.top_price - 20 * book.tick <= last[0] <= book.top_price


def test_a_request_on_an_open_ladder_brings_a_keyframe_and_warm_up() -> None:
    subject, book = view("ES", 4, ALWAYS_THE_TOUCH), LadderBook()
    roles = []
    for now, payload in frames(subject, 40, requests=(0.0, 20.0)):
        if now >= 20.0 and not roles:
            book.subscription_requested()
        update = applied(book, payload)
        if now >= 20.0:
            roles.append((now, update.role, book.complete))
    laid = next(now for now, role, _ in roles if role is FrameRole.FULL)
    assert 20.2 <= laid <= 21.2 + GRID
    assert book.epoch == 2
    assert not next(complete for now, _, complete in roles if now == laid)
    assert roles[-1][2], "and the depth came back"


def test_requests_in_a_row_bring_one_full_frame() -> None:
    full = [
        p for _, p in frames(view("CL", 1), 5, requests=(0.0, 0.0, 0.1)) if p.count(b"row") > 20
    ]
    assert len(full) == 1


def test_nothing_is_shown_before_a_request() -> None:
    subject = view("CL", 1)
    assert all(subject.poll(now) is None for now in range(10))


def test_the_same_seed_shows_the_same_frames() -> None:
    assert list(frames(view("GC", 5), 120)) == list(frames(view("GC", 5), 120))
    assert list(frames(view("GC", 5), 120)) != list(frames(view("GC", 6), 120))


def test_some_full_frames_show_less_than_the_touch() -> None:
    sides = set()
    for seed in range(80):
        _, payload = next(iter(frames(view("CL", seed), 3)))
        sides.add(payload.count(b'"bid"') + payload.count(b'"ask"'))
    assert sides == {0, 1, 2}


@pytest.mark.parametrize("symbol", CATALOGUE.symbols)
def test_the_pace_is_that_of_the_recordings(symbol: str) -> None:
    """1.5 to 3 frames a second when busy, one on the grid at most: observed page, point 9."""
    times = [now for now, _ in frames(view(symbol, 8), 1200)]
    assert 1.0 < len(times) / 1200 < 3.0
    assert all(after - before > GRID * 0.99 for before, after in pairwise(times))
