"""The synthetic market: seeded, independent of how it is asked, never crossed, lively."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.market import Market, MarketParameters, Phase

CATALOGUE = Catalogue.on(date(2026, 11, 22))
SYMBOLS = st.sampled_from(CATALOGUE.symbols)
SEEDS = st.integers(0, 2**32)


def market(symbol: str = "CL", seed: int = 1, parameters: MarketParameters | None = None) -> Market:
    return Market(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0, parameters=parameters)


def state(of: Market) -> tuple[object, ...]:
    book = tuple(of.size_at(tick) for tick in range(of.last - 30, of.last + 31))
    return of.last, of.last_size, of.volume, of.phase, book


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
        assert subject.last > 100, "a whole window stays positive"
        volume = subject.volume


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.lists(st.floats(0.01, 20), min_size=1, max_size=60))
def test_the_path_depends_on_the_seed_only(seed: int, steps: list[float]) -> None:
    often, once = market(seed=seed), market(seed=seed, parameters=MarketParameters())
    now = 0.0
    for step in steps:
        now += step
        often.advance(now)
    for instant in range(0, int(now), 30):
        once.advance(instant)
    once.advance(now)
    assert state(often) == state(once)


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
    traded = {Phase.QUIET: 0, Phase.BUSY: 0}
    seconds = dict(traded)
    for second in range(1, 3600):
        phase, volume = subject.phase, subject.volume
        subject.advance(second)
        traded[phase] += subject.volume - volume
        seconds[phase] += 1
    assert min(seconds.values()) > 300
    quiet, busy = (traded[p] / seconds[p] for p in (Phase.QUIET, Phase.BUSY))
    assert busy > 2 * quiet


def test_jumps_happen_and_go_far() -> None:
    subject, lasts = market(seed=2), []
    for step in range(1, 20_000):
        subject.advance(step * 0.1)
        lasts.append(subject.last)
    moves = [abs(after - before) for before, after in pairwise(lasts)]
    assert sum(move > 10 for move in moves) >= 5
    assert sum(move <= 3 for move in moves) > 0.98 * len(moves)


@pytest.mark.parametrize("symbol", CATALOGUE.symbols)
def test_the_price_is_drawn_back_to_where_it_began(symbol: str) -> None:
    subject = market(symbol, seed=11)
    start = subject.contract.start_tick
    for minute in range(1, 24 * 60, 1):
        subject.advance(minute * 60)
    assert abs(subject.last - start) < 0.3 * start


def test_the_book_is_deep_around_the_touch() -> None:
    subject = market(seed=5)
    for second in range(1, 600):
        subject.advance(second)
        bids = sum(subject.size_at(subject.best_bid - d) > 0 for d in range(24))
        asks = sum(subject.size_at(subject.best_ask + d) < 0 for d in range(24))
        assert bids > 12
        assert asks > 12
