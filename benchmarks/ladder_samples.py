"""What is counted in one ladder's stream of frames, recorded or synthetic.

The stream is what a client saw: its requests and the frames that came, with times. Figures of the
running market use only frames older than 4 s in their window, where the warm-up of a request no
longer shows (observed page, point 13), and only neighbours without a pause of the client between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from ib_platform.marketdata.ladder import WINDOW_ROWS

WARM_AFTER = 4.0
"""Seconds from a full frame on until its window counts as warm."""
PAUSE = 10.0
"""A longer silence is the client's absence, not the market's rest."""
GRID = 0.3
_DEPTH_ROWS = 10
"""A delta of so many rows soon after a requested full frame brings the deeper levels."""


class SeenRow(msgspec.Struct):
    """A row object of a frame."""

    row: int
    focus: int
    price: str
    bid: str = "0"
    ask: str = "0"

    @property
    def size(self) -> int:
        """Signed: bid > 0, ask < 0."""
        return int(self.bid) - int(self.ask)

    @property
    def last(self) -> tuple[str, int] | None:
        """Price and size of the last trade, if this is its row."""
        size, mark, price = self.price.rpartition(" @ ")
        return (price, int(size)) if mark else None


class _Frame(msgspec.Struct):
    data: list[SeenRow]


@dataclass(frozen=True, slots=True)
class Request:
    """The client asked for the ladder at ``at`` (seconds)."""

    at: float


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame came at ``at`` (seconds)."""

    at: float
    rows: tuple[SeenRow, ...]

    @property
    def is_full(self) -> bool:
        return len(self.rows) == WINDOW_ROWS

    @classmethod
    def of(cls, at: float, payload: bytes) -> Frame:
        """From the wire. Raises msgspec.ValidationError for what is no ladder frame."""
        return cls(at, tuple(msgspec.json.decode(payload, type=_Frame).data))


Event = Request | Frame


@dataclass(slots=True)
class Samples:
    """Everything that was counted in a stream. Times in seconds, moves in rows (ticks)."""

    frames: int = 0
    full_frames: int = 0
    almost_full: int = 0
    answer_delays: list[float] = field(default_factory=list)
    depth_delays: list[float] = field(default_factory=list)
    sizes_in_answers: list[float] = field(default_factory=list)
    window_lives: list[float] = field(default_factory=list)
    unsolicited: int = 0
    rows: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    touch_sizes: list[float] = field(default_factory=list)
    deep_sizes: list[float] = field(default_factory=list)
    size_steps: list[float] = field(default_factory=list)
    last_sizes: list[float] = field(default_factory=list)
    last_moves: list[float] = field(default_factory=list)
    watched: float = 0.0
    """Seconds in which moves of the last price could be seen."""
    trades_seen: int = 0
    warm_frames: int = 0
    crossed: int = 0
    mid_moves: int = 0
    touched: float = 0.0
    """Seconds between neighbouring frames with both sides of the touch known."""


def collect(events: Iterable[Event]) -> Samples:
    """Count a stream, ordered by time."""
    reader = _Reader()
    for event in events:
        if isinstance(event, Request):
            reader.request(event)
        else:
            reader.frame(event)
    return reader.samples


class _Reader:
    """Carries the ladder through the stream."""

    def __init__(self) -> None:
        self.samples = Samples()
        self._asked_at: float | None = None
        self._laid_at: float | None = None
        self._warming_up = False
        self._before: Frame | None = None
        self._was_warm = False
        self._rows: dict[int, SeenRow] = {}
        self._mid: float | None = None

    def request(self, event: Request) -> None:
        if self._asked_at is None:
            self._asked_at = event.at

    def frame(self, frame: Frame) -> None:
        samples, gap = self.samples, self._gap(frame)
        samples.frames += 1
        carried = dict(self._rows) if gap is not None else {}
        if frame.is_full:
            self._full(frame)
        elif len(frame.rows) >= 18:
            samples.almost_full += 1
        if not frame.is_full and self._warming_up and len(frame.rows) >= _DEPTH_ROWS:
            self._depth(frame)
        self._rows |= {row.row: row for row in frame.rows}
        self._last_trade(carried, gap)
        self._touch(gap)
        warm = self._laid_at is not None and frame.at - self._laid_at > WARM_AFTER
        if warm and gap is not None and not frame.is_full:
            self._warm(frame, carried, gap)
        self._before, self._was_warm = frame, warm

    def _gap(self, frame: Frame) -> float | None:
        """Seconds since the frame before; None after a pause."""
        if self._before is None or frame.at - self._before.at > PAUSE:
            return None
        return frame.at - self._before.at

    def _full(self, frame: Frame) -> None:
        samples = self.samples
        samples.full_frames += 1
        self._rows.clear()
        if self._laid_at is not None and frame.at - self._laid_at <= 3 * PAUSE:
            samples.window_lives.append(frame.at - self._laid_at)
        self._laid_at = frame.at
        if self._asked_at is None:
            self._warming_up = False
            samples.unsolicited += 1
            return
        self._warming_up = True
        if frame.at - self._asked_at <= PAUSE:
            samples.answer_delays.append(frame.at - self._asked_at)
        samples.sizes_in_answers.append(sum(row.size != 0 for row in frame.rows))
        self._asked_at = None

    def _depth(self, frame: Frame) -> None:
        assert self._laid_at is not None, "a window warms up once it is laid"
        self._warming_up = False
        if frame.at - self._laid_at <= PAUSE:
            self.samples.depth_delays.append(frame.at - self._laid_at)

    def _last_trade(self, carried: dict[int, SeenRow], gap: float | None) -> None:
        before, now = _focus(carried), _focus(self._rows)
        if gap is None or before is None or now is None:
            return
        self.samples.watched += gap
        self.samples.trades_seen += before[1:] != now[1:]
        if before[1] != now[1]:
            self.samples.last_moves.append(abs(_ticks_between(carried, self._rows)))

    def _touch(self, gap: float | None) -> None:
        before, self._mid = self._mid, _mid(self._rows)
        if gap is None or before is None or self._mid is None:
            return
        self.samples.touched += gap
        self.samples.mid_moves += before != self._mid

    def _warm(self, frame: Frame, carried: dict[int, SeenRow], gap: float) -> None:
        samples = self.samples
        samples.warm_frames += 1
        samples.rows.append(len(frame.rows))
        if self._was_warm:
            samples.gaps.append(gap)
        for row in frame.rows:
            old = carried.get(row.row)
            if old is not None and old.size * row.size > 0 and old.size != row.size:
                samples.size_steps.append(abs(row.size - old.size))
            if row.last is not None:
                samples.last_sizes.append(row.last[1])
        self._book()

    def _book(self) -> None:
        samples = self.samples
        bids = sorted(number for number, row in self._rows.items() if row.size > 0)
        asks = sorted(number for number, row in self._rows.items() if row.size < 0)
        if not bids or not asks:
            return
        best_bid, best_ask = bids[0], asks[-1]
        samples.crossed += best_bid <= best_ask
        samples.spreads.append(best_bid - best_ask)
        for number in (*bids, *asks):
            size = abs(self._rows[number].size)
            at_touch = number in (best_bid, best_ask)
            (samples.touch_sizes if at_touch else samples.deep_sizes).append(size)


def _focus(rows: dict[int, SeenRow]) -> tuple[int, str, int] | None:
    """Row, price and size of the last trade, where exactly one row has it."""
    found = [(number, *row.last) for number, row in rows.items() if row.last is not None]
    return found[0] if len(found) == 1 else None


def _mid(rows: dict[int, SeenRow]) -> float | None:
    """Middle of best bid and ask; None while a side is not known."""
    bids = [_price(row.price) for row in rows.values() if row.size > 0]
    asks = [_price(row.price) for row in rows.values() if row.size < 0]
    return (max(bids) + min(asks)) / 2 if bids and asks else None


def _ticks_between(before: dict[int, SeenRow], now: dict[int, SeenRow]) -> int:
    """How far the last price went, in ticks of the window of now."""
    old, new = _focus(before), _focus(now)
    assert old is not None, "the caller has seen the focus"
    assert new is not None, "the caller has seen the focus"
    prices = {number: _price(row.price) for number, row in now.items()}
    steps = [(prices[a] - prices[b]) / (b - a) for a, b in pairwise(sorted(prices))]
    if not steps or steps[0] == 0:
        return 0
    return round((_price(new[1]) - _price(old[1])) / steps[0])


def _price(text: str) -> float:
    return float(text.rpartition(" @ ")[2].replace(",", ""))
