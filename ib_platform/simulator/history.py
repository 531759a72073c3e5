"""Price history: bars of any contract as a pure function of seed, contract and time.

The synthetic order book begins when the simulator does, so it cannot tell of days before. History
is a sum of smooth seeded waves that meets the contract's start price where the simulator began: two
calls get the same closed bars, and bars of different lengths agree in their opens and closes. It
resembles the live market in level and liveliness only: no trade of the book is in it.

Bars exist where the market was open. Times are unix seconds here, milliseconds in the answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby

from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.hours import MarketHours, TradingDay
from ib_platform.simulator.parameters import Count, Days, Span, parameters

_DAY = 86_400
_PERIODS = {"min": 60, "h": 3_600, "d": _DAY, "w": 7 * _DAY, "m": 30 * _DAY, "y": 365 * _DAY}
_MOST_OF = {"min": 30, "h": 8, "d": 1_000, "w": 792, "m": 182, "y": 15}
_DURATION = re.compile(r"([0-9]{1,4})(min|h|d|w|m|y)", re.ASCII)
_BARS = {f"{n}min": n * 60 for n in (1, 2, 3, 5, 10, 15, 30)} | {
    f"{n}h": n * 3_600 for n in (1, 2, 3, 4, 8)
}
_LONG_BARS = ("1d", "1w", "1m")
_WAVES = tuple(60.0 * 2.7**octave for octave in range(12))
"""Lengths of the waves in seconds, from a minute to some five weeks."""
_SAMPLES = 6
"""Looks into a bar, for its high and low."""
_REACH = 0.05
"""Share of the price that the longest wave moves it."""


@parameters
class HistoryParameters:
    """``answer_delay``: what a call takes. ``most_concurrent`` calls of a user at a time, the next
    one is answered 429. ``most_points`` of an answer, the newest are kept. ``listed_days``: how
    long before its expiry a contract was listed, which is where its history begins."""

    answer_delay: Span = (0.02, 0.15)
    most_concurrent: Count = 5
    most_points: Count = 1_000
    listed_days: Days = 730


@dataclass(frozen=True, slots=True)
class Bar:
    """``begin``: unix seconds; prices in price units, ``volume`` in contracts."""

    begin: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class BadRangeError(ValueError):
    """A period, bar or start time that IBKR does not know; its text says which."""


def period_seconds(text: str) -> int:
    """``6d`` -> seconds. Raises BadRangeError beyond IBKR's longest of each unit."""
    match = _DURATION.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= _MOST_OF[match[2]]:
        raise BadRangeError(f"unknown period {text[:20]!r}: 1-30min, 1-8h, 1-1000d, 1-792w, ...")
    return int(match[1]) * _PERIODS[match[2]]


def bar_seconds(text: str) -> int:
    """``5min`` -> 300; days count 24 hours, weeks 7 days, months 30."""
    if text in _BARS:
        return _BARS[text]
    if text in _LONG_BARS:
        return _PERIODS[text[1:]]
    raise BadRangeError(f"unknown bar {text[:20]!r}: 1min ... 30min, 1h ... 8h, 1d, 1w, 1m")


def start_time(text: str) -> datetime:
    """``20261123-14:30:00`` (UTC). Raises BadRangeError."""
    try:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadRangeError(f"unknown startTime {text[:20]!r}: YYYYMMDD-HH:MM:SS") from error


class History:
    """Bars of all contracts. ``hours`` say where there are any. ``anchor``: the instant (unix
    seconds) at which all prices are the start prices, as in a live market that begins then."""

    def __init__(
        self,
        hours: MarketHours,
        seed: int,
        parameters: HistoryParameters,
        anchor: float | None = None,
    ) -> None:
        self._hours = hours
        self._anchor = anchor
        self._seed = seed
        self._parameters = parameters

    def bars(
        self,
        contract: SimulatedContract,
        *,
        until: datetime,
        period: str,
        bar: str,
        outside_rth: bool = True,
    ) -> list[Bar]:
        """Oldest first: the ``period`` that ends at ``until``, or, if the market is closed then,
        at its last close. A bar is listed from its begin on. Raises BadRangeError."""
        seconds, length = period_seconds(period), bar_seconds(bar)
        expiry = datetime.combine(contract.expiry, time(), UTC)
        listed = expiry - timedelta(days=self._parameters.listed_days)
        if until <= listed:
            return []
        last = self._last_open(until)
        first = max(last - timedelta(seconds=seconds), listed)
        spans = (
            self._long_spans(first, last, bar)
            if bar in _LONG_BARS
            else self._spans(first, last, length, outside_rth)
        )
        newest = [span for span, _ in zip(spans, range(self._parameters.most_points), strict=False)]
        ends = math.ceil(last.timestamp())
        return [self._bar(contract, begin, min(end, ends)) for begin, end in reversed(newest)]

    def _last_open(self, at: datetime) -> datetime:
        """``at`` if the market was open just before it, else the end of its last session."""
        while not self._hours.is_open(before := at - timedelta(microseconds=1)):
            at = self._hours.spell(before).begin
        return at

    def _spans(
        self, first: datetime, last: datetime, length: int, outside_rth: bool
    ) -> Iterator[tuple[int, int]]:
        """Grid spans in which there was trading, newest first. One that a session opens in begins
        with it."""
        begin = (math.ceil(last.timestamp()) - 1) // length * length
        while begin + length > first.timestamp():
            end = begin + length
            opened = self._opening(begin, end)
            if opened is None:
                # Whole nights and weekends are left out at once.
                at = datetime.fromtimestamp(begin, UTC)
                closed_from = self._hours.spell(at).begin.timestamp()
                begin = min(begin - length, math.floor(closed_from / length) * length)
                continue
            if opened >= first.timestamp() and (outside_rth or self._is_liquid(opened)):
                yield opened, end
            begin -= length

    def _opening(self, begin: int, end: int) -> int | None:
        """The first second of a span in which the market is open."""
        at = begin
        while at < end:
            spell = self._hours.spell(datetime.fromtimestamp(at, UTC))
            if spell.phase is MarketPhase.OPEN:
                return at
            at = math.ceil(spell.end.timestamp())
        return None

    def _is_liquid(self, second: int) -> bool:
        at = datetime.fromtimestamp(second, UTC)
        liquid = self._hours.trading_days(at, 1)[0].liquid
        return liquid is not None and liquid[0] <= at < liquid[1]

    def _long_spans(self, first: datetime, last: datetime, bar: str) -> Iterator[tuple[int, int]]:
        """Trading days, or the weeks and months that they make, newest first."""
        keys = {
            "1d": lambda day: day.date,
            "1w": lambda day: tuple(day.date.isocalendar()[:2]),
            "1m": lambda day: (day.date.year, day.date.month),
        }
        for _, group in groupby(self._days(first, last), keys[bar]):
            sessions = [day.extended for day in group if day.extended is not None]
            yield int(sessions[-1][0].timestamp()), int(sessions[0][1].timestamp())

    def _days(self, first: datetime, last: datetime) -> Iterator[TradingDay]:
        """Trade dates with a session, newest first."""
        at = datetime.combine(trade_date_of(last), time(12), UTC)
        while at >= first:
            day = self._hours.trading_days(at, 1)[0]
            if at.weekday() <= 4 and day.extended is not None:
                yield day
            at -= timedelta(days=1)

    def _bar(self, contract: SimulatedContract, begin: int, end: int) -> Bar:
        step = (end - begin) / _SAMPLES
        ticks = [self._tick(contract, begin + step * number) for number in range(_SAMPLES + 1)]
        tick = float(contract.product.tick)
        digits = -int(contract.product.tick.as_tuple().exponent)
        opened, high, low, closed = (
            round(value * tick, digits) for value in (ticks[0], max(ticks), min(ticks), ticks[-1])
        )
        activity = 0.2 + _noise(self._seed, contract.conid, -1, begin // 60)
        volume = round(contract.product.typical_size * (end - begin) / 12 * activity)
        return Bar(begin, opened, high, low, closed, max(1, volume))

    def _tick(self, contract: SimulatedContract, at: float) -> int:
        """Price at an instant, in ticks."""
        away = self._height(contract, at)
        if self._anchor is not None:
            away -= self._height(contract, self._anchor)
        return max(1, round(contract.start_tick * (1 + _REACH * away)))

    def _height(self, contract: SimulatedContract, at: float) -> float:
        """Sum of the waves at an instant, the longest in [-1, 1]."""
        heights = (
            (length / _WAVES[-1]) ** 0.5 * _wave(self._seed, contract.conid, number, at / length)
            for number, length in enumerate(_WAVES)
        )
        return math.fsum(heights)


def _wave(seed: int, conid: int, number: int, position: float) -> float:
    """Value noise in [-1, 1]: random at whole positions, smooth in between."""
    node = math.floor(position)
    share = position - node
    share *= share * (3 - 2 * share)
    left, right = _noise(seed, conid, number, node), _noise(seed, conid, number, node + 1)
    return 2 * (left + (right - left) * share) - 1


@lru_cache(maxsize=65_536)
def _noise(seed: int, conid: int, number: int, node: int) -> float:
    """A number in [0, 1) that belongs to these four."""
    name = f"{seed}/{conid}/{number}/{node}".encode()
    return int.from_bytes(blake2b(name, digest_size=6).digest()) / 2**48
