"""Depth in SQL, its twin in Python, and the true book inside the simulator's emitter: one book.

The truth comes from the market's orders; the twin and the SQL see only what the frames say. Cases
differ by conid, so that one build of a date compares all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_truth import LadderTruth
from ib_platform.simulator.ladder_view import LadderParameters, LadderView, encode_ladder
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.synthetic import SyntheticMarket
from ib_platform_tests.warehouse.emitter import NANO, Client
from ib_platform_tests.warehouse.recording import Recorder
from ib_platform_tests.warehouse.test_depth import NOON, assert_agree, trade_date

CATALOGUE = Catalogue.on(date(2026, 11, 22))
GRID = 0.3
SHARES = st.sampled_from([0.0, 0.0, 0.3, 1.0])


@dataclass(frozen=True)
class Case:
    """``asked``: grid points of further requests; ``left``: of ends of the subscription, after
    which it is asked for anew; ``relaid``: of windows that nobody asked for."""

    symbol: str
    seed: int
    ladder: LadderParameters
    market: MarketParameters
    points: int
    asked: frozenset[int]
    left: frozenset[int]
    relaid: frozenset[int]


POINTS = st.frozensets(st.integers(1, 100), max_size=3)
LADDERS = st.builds(
    LadderParameters,
    one_side_share=st.sampled_from([0.0, 0.2]),
    no_side_share=st.sampled_from([0.0, 0.2]),
    around_zero_share=SHARES,
    whole_zero_share=SHARES,
    early_depth_share=SHARES,
)
MARKETS = st.builds(
    MarketParameters,
    jump_every=st.sampled_from([5.0, 20.0, 1800.0]),
    levels_shown=st.sampled_from([1, 3, 10, 20]),
    withdraw_share=st.sampled_from([0.008, 0.2]),
    traded_before=st.booleans(),
    busy_rate=st.sampled_from([5.0, 50.0]),
)
CASES = st.builds(
    Case,
    st.sampled_from(CATALOGUE.symbols),
    st.integers(0, 2**32),
    LADDERS,
    MARKETS,
    st.integers(20, 100),
    POINTS,
    POINTS,
    POINTS,
)


def play(case: Case, recorder: Recorder, conid: int) -> Client:
    """The case as a client sees it; every frame is compared with the truth."""
    contract = CATALOGUE.months_of(case.symbol)[0]
    market = SyntheticMarket(contract, seed=case.seed, start=0.0, parameters=case.market)
    view, client = None, Client(recorder, conid, contract)
    for point in range(case.points):
        now = point * GRID
        at = NOON + round(now * NANO)
        if view is not None and point in case.left:
            client.leave(at)
            view = None
        if view is None:
            view = LadderView(market, seed=case.seed + point, parameters=case.ladder)
            view.request(now)
            client.request(at)
        elif point in case.asked:
            view.request(now)
            client.request(at)
        if point in case.relaid:
            view.relay()
        if (rows := view.poll(now)) is not None:
            client.hear(at, encode_ladder("DU1000001", conid, rows), view.truth())
    return client


def clients_of(examples: int, recorder: Recorder) -> list[Client]:
    """So many cases, each under a conid of its own."""
    played: list[Client] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def run(case: Case) -> None:
        played.append(play(case, recorder, 1000 + len(played)))

    run()
    return played


@pytest.mark.parametrize(
    "examples", [300, pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(3000)])]
)
def test_sql_twin_and_emitter_agree_by_chance(client: Any, examples: int) -> None:
    recorder = Recorder("r")
    played = clients_of(examples, recorder)
    assert len(played) >= examples
    compared = sum(each.compared for each in played)
    assert compared > 10 * examples
    assert sum(each.partly for each in played) > examples / 2, (
        "warm-up, in which sizes are withheld"
    )
    assert {role for each in played for role in each.roles} == {"full", "delta", "repriced"}
    assert max(each.epochs for each in played) > 2
    recorder.insert(client)
    assert assert_agree(client, [recorder], trade_date(NOON)) == len(recorder.states) >= compared


def test_the_oracle_sees_one_wrong_size() -> None:
    """Proof that the comparison can fail."""
    contract = CATALOGUE.months_of("CL")[0]
    market = SyntheticMarket(contract, seed=1, start=0.0)
    view = LadderView(market, seed=1, parameters=LadderParameters(around_zero_share=0))
    view.request(0.0)
    client = Client(Recorder("r"), 1, contract)
    client.request(NOON)
    rows = view.poll(1.0)
    assert rows is not None
    truth = view.truth()
    lie = LadderTruth(
        truth.top, tuple(2 * size for size in truth.sizes), truth.withheld, truth.last, True, True
    )
    with pytest.raises(AssertionError, match="truth"):
        client.hear(NOON, encode_ladder("DU1000001", 1, rows), lie)


def test_what_was_not_sent_is_withheld_and_nothing_else() -> None:
    """A requested full frame shows the touch; some three seconds later the rest is known."""
    contract = CATALOGUE.months_of("CL")[0]
    market = SyntheticMarket(contract, seed=1, start=0.0)
    plain = LadderParameters(
        around_zero_share=0, one_side_share=0, no_side_share=0, early_depth_share=0
    )
    view = LadderView(market, seed=1, parameters=plain)
    view.request(0.0)
    assert view.poll(1.0) is not None
    truth = view.truth()
    touch = {truth.top - tick for tick in (market.best_bid, market.best_ask) if tick is not None}
    levels = {row for row, size in enumerate(truth.sizes) if size}
    assert len(levels) > 10
    assert truth.withheld == levels - touch
    assert {row for row, size in enumerate(truth.known) if size} == touch
    assert view.poll(6.0) is not None
    assert view.truth().withheld == frozenset()
