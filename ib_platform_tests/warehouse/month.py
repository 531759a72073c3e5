"""Weeks of simulated trading on simulated time, recorded as a streamer would store them.

Markets, hours, ladders and expiries are the simulator's; frames go through the platform's decoder.
A run begins in the daily break before its first trade date and ends in the one after its last, and
a roll begins a new run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.catalogue import Catalogue, CatalogueParameters, SimulatedContract
from ib_platform.simulator.hours import HoursParameters, MarketHours
from ib_platform.simulator.ladder_view import LadderParameters, LadderView, encode_ladder
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.synthetic import SyntheticMarket
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.emitter import NANO, Client
from ib_platform_tests.warehouse.recording import SECOND, Recorder, trade_date

STEP = 25.0
HEARTBEATS = 600.0
EDGE = 6
"""Rows."""
CALM = MarketParameters(
    quiet_rate=0.9,
    busy_rate=0.9,
    changes=1.0,
    trade_share=0.3,
    withdraw_share=0,
    widest_spread=1,
    jump_every=1e9,
    opening_jump_share=0,
)
"""Slow, but its last trade is never far: a window is laid around it, and shows both sides."""
PLAIN = LadderParameters(one_side_share=0, no_side_share=0, around_zero_share=0)
UNGUARDED = CatalogueParameters(roll_guard_days=0)
CALENDARS = {"ES": CalendarName.CME_EQUITY, "CL": CalendarName.CME_ENERGY_METALS}


def front_of(symbol: str, day: date) -> SimulatedContract:
    """The contract that ``front`` means on a trade date."""
    return Catalogue.on(day, UNGUARDED).months_of(symbol)[0]


def weekdays(first: date, last: date) -> list[date]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 5]


@dataclass
class Ladder:
    """The ladder of one contract, and when it moves."""

    symbol: str
    contract: SimulatedContract
    client: Client
    view: LadderView
    market: SyntheticMarket
    hours: MarketHours
    top: int | None = None

    def _keep_in_sight(self) -> None:
        """A window is laid anew once the touch nears its edge. IBKR waits until the last price has
        left it; at 25 s a frame the ladder would show one side alone for too long."""
        if self.top is not None and not (
            self.top - EDGE > self.market.best_ask
            and self.market.best_bid > self.top - WINDOW_ROWS + EDGE
        ):
            self.view.relay()

    def show(self, at: datetime) -> None:
        """The frame and the quote of this instant, if the market moves."""
        if not self.hours.phase(at).moves:
            return
        ns = to_ns(at)
        self._keep_in_sight()
        rows = self.view.poll(at.timestamp())
        if rows is not None:
            payload = encode_ladder("DU1000001", self.client.conid, rows)
            truth = self.view.truth()
            self.top = truth.top
            self.client.hear(ns, payload, truth)
        tick = int(self.contract.product.tick * NANO)
        self.client.recorder.quote(
            ns, self.client.conid, updated=ns - SECOND // 10, bid=self.market.best_bid * tick,
            ask=self.market.best_ask * tick, availability="RB",
        )  # fmt: skip


@dataclass
class Stretch:
    """One run over consecutive trade dates on which ``front`` means the same contracts."""

    days: Sequence[date]
    fronts: dict[str, SimulatedContract]
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(f"run-{self.days[0]}")

    @property
    def begin(self) -> datetime:
        return trade_date_span(self.days[0])[0] + timedelta(seconds=60)

    def play(self) -> Recorder:
        at, end = self.begin, trade_date_span(self.days[-1])[1] - timedelta(seconds=60)
        self.recorder.event(to_ns(at), StreamEventKind.RUN_STARTED, None, None, source="ibkr")
        ladders = [self._ladder(symbol, at) for symbol in self.fronts]
        beat = at
        while at < end:
            if at >= beat:
                self.recorder.other(to_ns(at))
                beat = at + timedelta(seconds=HEARTBEATS)
            for ladder in ladders:
                ladder.show(at)
            moving = any(each.hours.phase(at).moves for each in ladders)
            at += timedelta(seconds=STEP if moving else 60)
        self.recorder.other(to_ns(end))
        return self.recorder

    def _ladder(self, symbol: str, at: datetime) -> Ladder:
        contract = self.fronts[symbol]
        hours = MarketHours(HoursParameters(calendar=CALENDARS[symbol]))
        now = at.timestamp()
        market = SyntheticMarket(
            contract, seed=7, start=now, parameters=CALM,
            phases=lambda instant: hours.phase_until(instant, 0.0),
        )  # fmt: skip
        view = LadderView(market, seed=7, parameters=PLAIN)
        client = Client(self.recorder, contract.conid, contract)
        view.request(now)
        client.request(to_ns(at))
        return Ladder(symbol, contract, client, view, market, hours)


def stretches(days: Sequence[date]) -> Iterator[Stretch]:
    """Runs over ``days``: a new one after a hole in them, and where a front month changes."""
    held: list[date] = []
    fronts: dict[str, SimulatedContract] = {}
    for day in days:
        found = {symbol: front_of(symbol, day) for symbol in CALENDARS}
        whole = not held or day - held[-1] <= timedelta(days=3 if day.weekday() == 0 else 1)
        if held and (found != fronts or not whole):
            yield Stretch(held, fronts)
            held = []
        held, fronts = [*held, day], found
    yield Stretch(held, fronts)


def store(client: Any, number: int, stretch: Stretch) -> None:
    """The run, the assignment under which it streams, and what IBKR told of its contracts."""
    ms = to_ns(stretch.begin) // 1_000_000
    keys = {symbol: f"{symbol}.{one.product.exchange}" for symbol, one in stretch.fronts.items()}
    client.insert(
        "assignments",
        [
            (
                number, 1, ms, ms + 30_000, [f"{key}.front" for key in keys.values()],
                ["alpha" for _ in keys], [CALENDARS[symbol].value for symbol in keys],
            )
        ],
    )  # fmt: skip
    rows = []
    for symbol, key in keys.items():
        months = Catalogue.on(stretch.days[0], UNGUARDED).months_of(symbol)
        for word, one in zip(("front", "next"), months, strict=False):
            rows.append(
                (
                    f"{key}.{word}", one.conid, symbol, one.product.exchange,
                    CALENDARS[symbol].value, ms, trade_date(to_ns(stretch.begin)),
                    one.product.tick, one.expiry, one.expiry,
                )
            )  # fmt: skip
    client.insert(
        "contracts",
        rows,
        column_names=[
            "contract", "conid", "symbol", "exchange", "calendar", "resolved_at", "trade_date",
            "tick", "last_trade_date", "expiry",
        ],
    )  # fmt: skip
    stretch.play().insert(client)


def open_seconds(symbol: str, day: date) -> float:
    """Seconds in which the simulated market trades on a trade date."""
    (found,) = MarketHours(HoursParameters(calendar=CALENDARS[symbol])).trading_days(
        datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=15), 1
    )
    assert found.date == day
    return 0.0 if found.extended is None else (found.extended[1] - found.extended[0]).seconds
