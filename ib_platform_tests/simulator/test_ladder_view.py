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
from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_view import LadderParameters, LadderView, encode_ladder
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.synthetic import SyntheticMarket

CATALOGUE = Catalogue.on(date(2026, 11, 22))
SYMBOLS = st.sampled_from(CATALOGUE.symbols)
SEEDS = st.integers(0, 2**32)
ALWAYS_THE_TOUCH = LadderParameters(one_side_share=0, no_side_share=0, around_zero_share=0)
LIVELY = MarketParameters(jump_every=60)
GRID = 0.3


def view(
    symbol: str,
    seed: int,
    parameters: LadderParameters | None = ALWAYS_THE_TOUCH,
    market: MarketParameters | None = None,
) -> LadderView:
    contract = CATALOGUE.months_of(symbol)[0]
    lives = SyntheticMarket(contract, seed=seed, start=0.0, parameters=market)
    return LadderView(lives, seed=seed, parameters=parameters)


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
    subject = view(symbol, seed, market=LIVELY)
    for _, payload in frames(subject, 120, requests=(0.0, *sorted(requests))):
        update = applied(book, payload)
        assert update.role in (FrameRole.FULL, FrameRole.DELTA)
        assert not update.suspect
        touch = book.touch()
        assert not touch.crossed
        assert not touch.locked


@settings(max_examples=25, deadline=None)
@given(SYMBOLS, SEEDS)
def test_the_carried_book_equals_the_market(symbol: str, seed: int) -> None:
    market = SyntheticMarket(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0)
    subject, book = LadderView(market, seed=seed, parameters=ALWAYS_THE_TOUCH), LadderBook()
    tick = int(market.contract.product.tick * 1_000_000_000)
    seen = 0
    for now, payload in frames(subject, 60):
        applied(book, payload)
        if now < 6:
            continue
        seen += 1
        assert book.top_price is not None
        top = book.top_price // tick
        lowest, highest = market.levels(10)
        assert book.sizes == [
            market.size_at(tick) if lowest <= tick <= highest else 0
            for tick in range(top, top - 21, -1)
        ]
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
        for now, payload in frames(view("CL", seed, market=LIVELY), 900):
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
    for _, payload in frames(view("NQ", 9, market=LIVELY), 600):
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
    less = LadderParameters(one_side_share=0.3, no_side_share=0.2, around_zero_share=0)
    for seed in range(80):
        _, payload = next(iter(frames(view("CL", seed, less), 3)))
        sides.add(payload.count(b'"bid"') + payload.count(b'"ask"'))
    assert sides == {0, 1, 2}


@pytest.mark.parametrize("symbol", CATALOGUE.symbols)
def test_the_pace_is_that_of_the_recordings(symbol: str) -> None:
    """1.5 to 3 frames a second when busy, one on the grid at most: observed page, point 9."""
    times = [now for now, _ in frames(view(symbol, 8), 1200)]
    assert 1.0 < len(times) / 1200 < 3.0
    assert all(after - before > GRID * 0.99 for before, after in pairwise(times))


def test_depth_comes_in_one_frame_of_18_to_21_rows() -> None:
    """As recorded: most often 18, and in 7 of 189 cases all 21, which reads as a full frame."""
    counts: dict[int, int] = {}
    for seed in range(120):
        sizes = [payload.count(b'"row"') for _, payload in frames(view("CL", seed), 5)]
        big = next(size for size in sizes[1:] if size > 14)
        counts[big] = counts.get(big, 0) + 1
    assert set(counts) <= {16, 17, 18, 19, 20, 21}
    assert max(counts, key=lambda size: counts[size]) in (18, 19)
    assert sum(counts.get(size, 0) for size in (18, 19, 20)) > 80


def test_a_ladder_shows_ten_levels_a_side() -> None:
    book = LadderBook()
    for now, payload in frames(view("CL", 3), 120):
        applied(book, payload)
        if now > 6:
            assert sum(size > 0 for size in book.sizes) <= 10
            assert sum(size < 0 for size in book.sizes) <= 10
    shown = sum(size != 0 for size in book.sizes)
    assert shown >= 17


def test_the_old_window_lives_on_until_the_new_full_frame() -> None:
    slow = LadderParameters(
        answer_delay=(5, 6), one_side_share=0, no_side_share=0, around_zero_share=0
    )
    between = [
        payload.count(b'"row"')
        for now, payload in frames(view("CL", 2, slow), 40, requests=(0.0, 20.0))
        if 20.0 < now < 25.0
    ]
    assert between
    assert max(between) < 21


def test_a_window_is_laid_anew_on_demand_with_its_depth() -> None:
    subject, book = view("CL", 5), LadderBook()
    for _, payload in frames(subject, 10):
        applied(book, payload)
    assert book.window == 1
    subject.relay()
    rows = subject.poll(10.0)
    assert rows is not None
    update = applied(book, encode_ladder("DU1000001", 42, rows))
    assert (update.role, book.window, book.epoch) == (FrameRole.FULL, 2, 1)
    assert book.complete
    again = subject.poll(10.3)
    assert again is None or len(again) < 21


@pytest.mark.parametrize("whole", [True, False])
def test_a_ladder_before_any_price_is_laid_around_zero(whole: bool) -> None:
    """Observed page, point 8: 21 rows and a re-pricing by fewer. In the frames of 13 November: the
    upper 11 rows, and a full frame 0.1 s later."""
    subject = view(
        "CL", 1, LadderParameters(whole_zero_share=float(whole), one_side_share=0, no_side_share=0)
    )
    subject.lay_around_zero()
    stream = [json.loads(payload)["data"] for _, payload in frames(subject, 8)]
    zero, priced = stream[0], stream[1]
    assert [row["price"] for row in zero[:3]] == ["0.10", "0.09", "0.08"]
    assert zero[10]["price"] == "0.00"
    assert all(set(row) == {"row", "focus", "price"} and row["focus"] == 0 for row in zero)
    assert len(zero) == (21 if whole else 11)
    assert float(priced[-1]["price"].split(" @ ")[-1]) > 50
    assert (len(priced) < 21) == whole
    if whole:
        assert len(priced) >= 15
    else:
        assert sum(len(row) > 3 for row in priced) == 2, "a warm-up as always"


@settings(max_examples=40, deadline=None)
@given(SYMBOLS, SEEDS, st.booleans())
def test_after_a_window_around_zero_the_book_is_right(symbol: str, seed: int, whole: bool) -> None:
    market = SyntheticMarket(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0)
    parameters = LadderParameters(around_zero_share=1.0, whole_zero_share=float(whole))
    subject, book = LadderView(market, seed=seed, parameters=parameters), LadderBook()
    roles = [applied(book, payload).role for _, payload in frames(subject, 12)]
    assert roles[0] is (FrameRole.FULL if whole else FrameRole.ORPHAN)
    if whole:
        assert roles[1] is FrameRole.REPRICED
    assert book.top_price is not None
    top = book.top_price // int(market.contract.product.tick * 1_000_000_000)
    lowest, highest = market.levels(10)
    assert book.sizes == [
        market.size_at(tick) if lowest <= tick <= highest else 0
        for tick in range(top, top - 21, -1)
    ]


def test_some_ladders_begin_around_zero_by_chance() -> None:
    often = LadderParameters(around_zero_share=0.3)
    first = [next(iter(frames(view("CL", seed, often), 3)))[1] for seed in range(60)]
    assert 5 < sum(b'"price":"0.10"' in payload for payload in first) < 40


def test_before_the_first_trade_no_row_has_the_focus() -> None:
    untraded = MarketParameters(traded_before=False, trade_share=0.0, jump_every=1e9)
    stream = [
        json.loads(payload)["data"] for _, payload in frames(view("CL", 1, market=untraded), 30)
    ]
    assert len(stream[0]) == 21
    assert all(row["focus"] == 0 and " @ " not in row["price"] for rows in stream for row in rows)


class Hours:
    """A phase that a test sets."""

    def __init__(self, phase: MarketPhase = MarketPhase.OPEN) -> None:
        self.phase = phase

    def __call__(self) -> MarketPhase:
        return self.phase


@pytest.mark.parametrize(
    "phase", [MarketPhase.MAINTENANCE, MarketPhase.CLOSED, MarketPhase.HOLIDAY]
)
def test_a_closed_market_sends_nothing_but_keyframes_on_request(phase: MarketPhase) -> None:
    hours = Hours()
    market = SyntheticMarket(CATALOGUE.months_of("CL")[0], seed=1, start=0.0)
    subject = LadderView(market, seed=1, parameters=ALWAYS_THE_TOUCH, phase=hours)
    before = list(frames(subject, 20))
    assert len(before) > 20
    hours.phase = phase
    assert all(subject.poll(20 + point * GRID) is None for point in range(100))
    subject.request(60.0)
    quiet = [rows for point in range(100) if (rows := subject.poll(60 + point * GRID))]
    assert [len(rows) for rows in quiet] == [21], "static: no depth, no deltas"
    hours.phase = MarketPhase.OPEN
    opened = [rows for point in range(60) if (rows := subject.poll(100 + point * GRID))]
    assert len(opened) > 10
    assert any(len(rows) > 14 for rows in opened), "the depth comes when the market moves again"


def test_quotes_move_in_the_pre_opening() -> None:
    hours = Hours(MarketPhase.PRE_OPEN)
    market = SyntheticMarket(CATALOGUE.months_of("CL")[0], seed=1, start=0.0)
    subject = LadderView(market, seed=1, parameters=ALWAYS_THE_TOUCH, phase=hours)
    assert len(list(frames(subject, 20))) > 10


def test_views_of_one_market_share_their_rows() -> None:
    """200 clients of one contract cost one computation of its window."""
    market = SyntheticMarket(CATALOGUE.months_of("CL")[0], seed=1, start=0.0)
    views = [LadderView(market, seed=n, parameters=ALWAYS_THE_TOUCH) for n in range(50)]
    for subject in views:
        subject.request(0.0)
        for point in range(20):
            subject.poll(point * GRID)
    for subject in views:
        subject.relay()
    laid = [subject.poll(6.0) for subject in views]
    assert len({tuple(map(id, rows)) for rows in laid if rows is not None}) == 1


@settings(max_examples=20, deadline=None)
@given(SYMBOLS, SEEDS)
def test_shared_rows_are_what_the_market_says(symbol: str, seed: int) -> None:
    market = SyntheticMarket(
        CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0, parameters=LIVELY
    )
    for second in range(60):
        market.advance(second)
        middle = market.middle
        assert middle is not None
        lowest, highest = market.levels(10)
        for row in market.windows.around(middle):
            tick = middle + 10 - row.row
            size = market.size_at(tick) if lowest <= tick <= highest else 0
            assert int(row.bid or 0) - int(row.ask or 0) == size
            text = market.contract.price_text(tick)
            assert row.price == (f"{market.last_size} @ {text}" if row.focus else text)
            assert row.focus == (tick == market.last)
