"""Evidence about one contract in one streamer run. PURE: clocks are arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ib_platform.marketdata.book import LadderBook
from ib_platform.marketdata.calendar import is_open
from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import decode_ladder
from ib_platform.marketdata.quotes import Quote
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.states import Cause, ContractState
from ib_platform.streamer.entitlement import (
    Availability,
    read_availability,
    why_no_data,
    why_silent,
)
from ib_platform.streamer.ladder_watch import LadderSight

WARM_UP_LONGEST = 4.0
"""Deeper levels come 1 to 3.5 s after a full frame (observed page, point 7): a two-sided state
older than this is as deep as the market is."""
_HALTED = "H"


@dataclass
class TrackedContract:
    """Evidence about one contract. Instants without ``_at`` are monotonic seconds.

    ``problem``: why it cannot be resolved; ``not_held``: why this session does not hold its ladder.
    ``last_frame``: the newest ladder frame that could be read; ``unreadable``: the newest one that
    could not, and why. ``requested``: on this connection.
    """

    calendar: CalendarName
    waiting_since: float
    conid: int | None = None
    problem: str | None = None
    not_held: str | None = None
    assigned: bool = True
    book: LadderBook = field(default_factory=LadderBook)
    answered_at: float | None = None
    last_frame: float | None = None
    last_frame_at: datetime | None = None
    unreadable: tuple[float, str] | None = None
    requested: bool = False
    frames_of_connection: int = 0
    two_sided_since: float | None = None
    warm: bool = False
    availability: Availability | None = None
    last_prefix: str | None = None
    ladder_frames: int = 0
    two_sided: int = 0
    crossed: int = 0
    hours_differ: Mapping[date, str] = field(default_factory=dict)
    """Trade dates on which IBKR's trading hours are not those of ``calendar``, in words."""

    def state(self, now: float, at: datetime, silent_after: float) -> ContractState:
        """State at the instant. Silence counts from the last frame that could be read, or from when
        one was due."""
        if not self.assigned:
            return ContractState.NOT_ASSIGNED
        if self.problem is not None or self.not_held is not None:
            return ContractState.NO_DATA
        if not is_open(self.calendar, at):
            return ContractState.MARKET_CLOSED
        heard = self.waiting_since if self.last_frame is None else self.last_frame
        just_opened = not is_open(self.calendar, at - timedelta(seconds=silent_after))
        if now - max(heard, self.waiting_since) >= silent_after and not just_opened:
            denied = self.availability is not None and not self.availability.real_time
            return ContractState.NO_DATA if denied else ContractState.SILENT
        if self.warm or self._two_sided_long_enough(now):
            return ContractState.LIVE
        return ContractState.WARMING_UP

    def sight(self, now: float, at: datetime, silent_after: float) -> LadderSight:
        """What the subscriptions are planned from."""
        state = self.state(now, at, silent_after)
        return LadderSight(
            market_open=is_open(self.calendar, at),
            live=state is ContractState.LIVE,
            answered_at=self.answered_at,
            last_frame=self.last_frame,
            silence=self._silence(state),
            entitled=None if self.availability is None else self.availability.real_time,
            halted=self._halted,
            reason=self.reason(now, at, silent_after),
        )

    def reason(self, now: float, at: datetime, silent_after: float) -> str | None:
        """Why it is not LIVE, for people; None where the state says it all."""
        if not self.assigned:
            return None
        if (known := self.problem or self.not_held) is not None:
            return known
        silence = self._silence(self.state(now, at, silent_after))
        if silence is None:
            return None
        if silence is Cause.NO_ENTITLEMENT and self.availability is not None:
            return why_no_data(self.availability)
        if silence is Cause.UNDECODABLE and self.unreadable is not None:
            return f"ladder frames come, but cannot be read ({self.unreadable[1]})"
        halted = "the last price reads H: trading is halted; " if self._halted else ""
        return halted + why_silent(self.availability)

    def apply(self, payload: bytes, now: float, at: datetime) -> Undecodable | None:
        """Take one ladder frame of this contract; what could not be read is returned."""
        self.ladder_frames += 1
        self.frames_of_connection += 1
        rows = decode_ladder(payload)
        if isinstance(rows, Undecodable):
            self.book.frame_lost()
            self.unreadable = now, rows.reason
            return rows
        epoch = self.book.epoch
        update = self.book.apply(rows)
        if isinstance(update, Undecodable):
            self.unreadable = now, update.reason
            return update
        self.last_frame, self.last_frame_at = now, at
        if self.book.epoch != epoch:
            self.answered_at = now
            self.warm, self.two_sided_since = False, None
        touch = self.book.touch()
        self.two_sided += touch.two_sided
        self.crossed += touch.crossed
        if touch.two_sided and self.two_sided_since is None:
            self.two_sided_since = now
        self.warm = self.warm or (self.book.complete and touch.two_sided)
        return None

    def take_quote(self, quote: Quote) -> None:
        """Keep what a quote says about the ladder's silence; a field that is not in it has not
        changed."""
        self.availability = read_availability(quote.availability) or self.availability
        if quote.last is not None:
            self.last_prefix = quote.last_prefix

    def disconnected(self) -> None:
        """The connection ended: the book is unknown until the next full frame."""
        self.book.disconnected()
        self.frames_of_connection = 0
        self.requested = False
        self.warm, self.two_sided_since = False, None

    def means_another(self) -> None:
        """The key has become another conid: counters go on, the book, the quote and the silence
        begin anew."""
        self.disconnected()
        self.last_frame = self.answered_at = self.availability = self.unreadable = None
        self.last_prefix = None

    @property
    def _halted(self) -> bool:
        return self.last_prefix == _HALTED

    def _silence(self, state: ContractState) -> Cause | None:
        """The cause of a silence that ``state`` tells of."""
        if self.problem is not None or self.not_held is not None:
            return None
        if state is ContractState.NO_DATA:
            return Cause.NO_ENTITLEMENT
        if state is not ContractState.SILENT:
            return None
        heard = self.waiting_since if self.last_frame is None else self.last_frame
        broken = self.unreadable is not None and self.unreadable[0] > heard
        return Cause.UNDECODABLE if broken else Cause.SILENT_LADDER

    def _two_sided_long_enough(self, now: float) -> bool:
        return self.two_sided_since is not None and now - self.two_sided_since > WARM_UP_LONGEST
