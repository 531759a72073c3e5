"""The synthetic market: seeded, independent of how it is asked, never crossed, lively."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.synthetic import Pace, SyntheticMarket

CATALOGUE = Catalogue.on(date(2026, 11, 22))
SYMBOLS = st.sampled_from(CATALOGUE.symbols)
SEEDS = st.integers(0, 2**32)


# A day in miniature: (phase, seconds), again and again.
DAY = (
    (MarketPhase.OPEN, 100.0),
    (MarketPhase.MAINTENANCE, 45.0),
    (MarketPhase.PRE_OPEN, 15.0),
)
DAY_SECONDS = sum(seconds for _, seconds in DAY)
Phases = Callable[[float], tuple[MarketPhase, float]]


def days(now: float) -> tuple[MarketPhase, float]:
    """Phase at ``now`` and its end, as ``MarketHours`` tells them."""
    begin = (now + 0.001) // DAY_SECONDS * DAY_SECONDS
    for phase, seconds in DAY:
        begin += seconds
        if now + 0.001 < begin:
            return phase, begin
    raise AssertionError("a day ends")


def market(
    symbol: str = "CL",
    seed: int = 1,
    parameters: MarketParameters | None = None,
    phases: Phases | None = None,
) -> SyntheticMarket:
    contract = CATALOGUE.months_of(symbol)[0]
    return SyntheticMarket(contract, seed=seed, start=0.0, parameters=parameters, phases=phases)


def state(of: SyntheticMarket) -> tuple[object, ...]:
    book = tuple(of.size_at(tick) for tick in range(of.best_bid - 30, of.best_bid + 31))
    return of.best_bid, of.best_ask, of.last, of.last_size, of.volume, of.pace, of.version, book


@settings(max_examples=40, deadline=None)
@given(SYMBOLS, SEEDS)
def test_never_crossed_and_always_two_sided(symbol: str, seed: int) -> None:
    subject = market(symbol, seed)
    volume = 0
    for second in range(1, 120):
        subject.advance(second)
        assert subject.best_bid < subject.best_ask
        assert subject.size_at(subject.best_bid) > 0 > subject.size_at(subject.best_ask)
        assert subject.last_size > 0
        assert subject.volume >= volume
        assert subject.last is not None
        if subject.high is not None and subject.low is not None:
            assert subject.low <= subject.last <= subject.high
        assert subject.best_bid > 100, "a whole window stays positive"
        volume = subject.volume


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.lists(st.floats(0.01, 20), min_size=1, max_size=60), st.sampled_from([None, days]))
def test_the_path_depends_on_the_seed_only(
    seed: int, steps: list[float], phases: Phases | None
) -> None:
    often, seldom = market(seed=seed, phases=phases), market(seed=seed, phases=phases)
    now = 0.0
    for step in steps:
        now += step
        often.advance(now)
    for instant in range(0, int(now), 30):
        seldom.advance(instant)
    seldom.advance(now)
    assert state(often) == state(seldom)


def test_other_seeds_and_contracts_go_other_ways() -> None:
    states = set()
    for seed in range(5):
        subject = market(seed=seed)
        subject.advance(50)
        states.add(state(subject))
    assert len(states) == 5


def test_an_earlier_instant_changes_nothing() -> None:
    subject = market()
    subject.advance(30)
    before = state(subject)
    subject.advance(10)
    assert state(subject) == before


def test_catching_up_is_bounded() -> None:
    subject = market()
    subject.advance(3.0 * 365 * 86_400)
    fresh = market()
    fresh.advance(60)
    assert state(subject) == state(fresh), "all but the last minute was skipped"
    volume = subject.volume
    subject.advance(3.0 * 365 * 86_400 + 30)
    assert subject.volume > volume, "and it lives on"


def test_quiet_and_busy_phases_differ_in_pace() -> None:
    subject = market(seed=3)
    traded = {Pace.QUIET: 0, Pace.BUSY: 0}
    seconds = dict(traded)
    for second in range(1, 3600):
        phase, volume = subject.pace, subject.volume
        subject.advance(second)
        traded[phase] += subject.volume - volume
        seconds[phase] += 1
    assert min(seconds.values()) > 300
    quiet, busy = (traded[p] / seconds[p] for p in (Pace.QUIET, Pace.BUSY))
    assert busy > 2 * quiet


def test_jumps_happen_and_go_far() -> None:
    subject = market(seed=2, parameters=MarketParameters(jump_every=75))
    lasts: list[int] = []
    for step in range(1, 20_000):
        subject.advance(step * 0.1)
        assert subject.last is not None
        lasts.append(subject.last)
    moves = [abs(after - before) for before, after in pairwise(lasts)]
    assert sum(move > 10 for move in moves) >= 5
    assert sum(move <= 3 for move in moves) > 0.98 * len(moves)


@pytest.mark.parametrize("symbol", CATALOGUE.symbols)
def test_the_price_is_drawn_back_to_where_it_began(symbol: str) -> None:
    subject = market(symbol, seed=11)
    start = subject.contract.start_tick
    for minute in range(1, 8 * 60):
        subject.advance(minute * 60)
    assert abs(subject.best_bid - start) < 0.3 * start


def test_the_book_is_deep_around_the_touch() -> None:
    subject = market(seed=5)
    for second in range(1, 600):
        subject.advance(second)
        bids = sum(subject.size_at(subject.best_bid - d) > 0 for d in range(24))
        asks = sum(subject.size_at(subject.best_ask + d) < 0 for d in range(24))
        assert bids > 12
        assert asks > 12


@settings(max_examples=20, deadline=None)
@given(SYMBOLS, SEEDS)
def test_the_last_trade_stays_near_the_touch(symbol: str, seed: int) -> None:
    subject, far = market(symbol, seed), 0
    for second in range(1, 600):
        subject.advance(second)
        assert subject.last is not None
        far += not subject.best_bid - 5 <= subject.last <= subject.best_ask + 5
    assert far < 60


def test_sizes_follow_the_typical_size_of_the_product() -> None:
    def touch(symbol: str) -> float:
        subject, sizes = market(symbol, 4), []
        for second in range(1, 900):
            subject.advance(second)
            sizes.append(subject.size_at(subject.best_bid))
        return sum(sizes) / len(sizes)

    assert touch("ZN") > 10 * touch("ES") > 20 * touch("NQ")


def test_the_version_changes_exactly_when_something_does() -> None:
    subject, before, version = market(seed=6), None, -1
    for step in range(1, 4000):
        subject.advance(step * 0.1)
        now = state(subject)[:5] + state(subject)[7:]
        if subject.version == version:
            assert now == before
        before, version = now, subject.version
    assert version > 500


def test_best_prices_and_levels_are_those_of_the_book() -> None:
    subject = market(seed=7)
    for second in range(1, 300):
        subject.advance(second)
        book = {tick: subject.size_at(tick) for tick in range(subject.best_bid - 40, 20_000)}
        bids = sorted((tick for tick, size in book.items() if size > 0), reverse=True)
        asks = sorted(tick for tick, size in book.items() if size < 0)
        assert (subject.best_bid, subject.best_ask) == (bids[0], asks[0])
        assert subject.levels(10) == (bids[9], asks[9])


def test_nothing_moves_while_the_market_is_closed_and_no_time_is_lost() -> None:
    subject = market(seed=3, phases=days)
    subject.advance(100.0)
    before = state(subject)
    for second in range(101, 145):
        subject.advance(second)
        assert state(subject) == before
    subject.advance(160.0 - 0.01)
    assert state(subject) != before


def test_quotes_gather_before_the_opening_and_nothing_trades() -> None:
    """Pre-open: sizes and touch move, the last trade is the one of yesterday."""
    moved = 0
    for seed in range(10):
        subject = market(seed=seed, phases=days)
        subject.advance(145.0)
        last, volume, version = subject.last, subject.volume, subject.version
        for tenth in range(1451, 1600):
            subject.advance(tenth / 10)
            assert (subject.last, subject.volume) == (last, volume)
        moved += subject.version > version
        subject.advance(230.0)
        assert subject.volume > volume, "open again"
    assert moved >= 9


@pytest.mark.parametrize(("share", "jumped"), [(0.0, 0), (1.0, 20)])
def test_the_market_may_open_at_a_distance(share: float, jumped: int) -> None:
    parameters = MarketParameters(opening_jump_share=share, opening_jump_ticks=(20, 30))
    seen = 0
    for seed in range(20):
        subject = market(seed=seed, parameters=parameters, phases=days)
        subject.advance(159.99)
        before = subject.best_bid
        subject.advance(160.0)
        seen += abs(subject.best_bid - before) >= 18
    assert seen == jumped


def test_a_weekend_that_nobody_watched_is_no_idle_time() -> None:
    """The market goes on at its opening as if somebody had looked all the time."""

    def weekend(now: float) -> tuple[MarketPhase, float]:
        if now < 50:
            return MarketPhase.OPEN, 50.0
        if now < 200_000:
            return MarketPhase.CLOSED, 200_000.0
        return MarketPhase.OPEN, math.inf

    watched, alone = market(phases=weekend), market(phases=weekend)
    for subject in (watched, alone):
        subject.advance(50.0)
    for minute in range(1, 3300):
        watched.advance(50.0 + minute * 60)
    for subject in (watched, alone):
        subject.advance(200_030.0)
    assert state(watched) == state(alone)


def test_before_the_first_trade_there_is_no_last_price() -> None:
    parameters = replace(MarketParameters(), traded_before=False, trade_share=0.002)
    subject = market(parameters=parameters)
    assert subject.last is None
    assert subject.price_text(subject.last) == ""
    assert subject.middle == subject.best_bid
    now = 0.0
    while subject.last is None:
        now += 1
        subject.advance(now)
    assert subject.middle == subject.last == subject.high == subject.low
    assert subject.volume == subject.last_size


def test_an_hour_leaves_nothing_behind() -> None:
    """Memory: the book and the cached rows and texts stay as large as they were."""
    subject = market(seed=1, parameters=MarketParameters(jump_every=20))
    sizes = []
    for second in range(1, 3601):
        subject.advance(second)
        subject.windows.around(subject.best_bid)
        sizes.append(len(vars(subject)["_sizes"]) + len(subject.windows))
    assert max(sizes) <= 4096 + 64 + 2 * 60
    assert len(vars(subject)["_sizes"]) <= 60
