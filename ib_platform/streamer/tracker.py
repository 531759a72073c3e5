"""What a streamer knows about its contracts, from evidence only. PURE: clocks are arguments.

``now`` is monotonic seconds and measures durations; ``at`` is an aware instant and is compared with
the trading calendar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from ib_platform.health import ContractHealth
from ib_platform.ibkr.session import Judgement
from ib_platform.marketdata.book import LadderBook
from ib_platform.marketdata.calendar import CalendarName, is_open, trade_date_of
from ib_platform.marketdata.frames import LADDER, QUOTE, FrameKind, Undecodable, classify
from ib_platform.marketdata.ladder import decode_ladder
from ib_platform.marketdata.quotes import decode_quote
from ib_platform.states import ContractState, PodState

WARM_UP_LONGEST = 4.0
"""Deeper levels come 1 to 3.5 s after a full frame (observed page, point 7): a two-sided state
older than this is as deep as the market is."""

_NANOS = 1_000_000_000
_WORST_FIRST = (
    ContractState.NO_DATA,
    ContractState.SILENT,
    ContractState.NOT_ASSIGNED,
    ContractState.WARMING_UP,
    ContractState.LIVE,
    ContractState.MARKET_CLOSED,
)


def worst(states: Mapping[str, ContractState]) -> tuple[str, ContractState] | None:
    """The contract in the worst state, with the state; None where there are no contracts."""
    return min(states.items(), key=lambda item: _WORST_FIRST.index(item[1]), default=None)


@dataclass
class TrackedContract:
    """Evidence about one contract in this run."""

    calendar: CalendarName
    waiting_since: float
    conid: int | None = None
    problem: str | None = None
    assigned: bool = True
    book: LadderBook = field(default_factory=LadderBook)
    last_frame: float | None = None
    last_frame_at: datetime | None = None
    frames_of_connection: int = 0
    two_sided_since: float | None = None
    warm: bool = False
    availability: str | None = None
    ladder_frames: int = 0
    two_sided: int = 0
    crossed: int = 0
    hours_differ: Mapping[date, str] = field(default_factory=dict)
    """Trade dates on which IBKR's trading hours are not those of ``calendar``, in words."""

    def state(self, now: float, at: datetime, silent_after: float) -> ContractState:
        """State at the instant. Silence counts from the last frame, or from when one was due."""
        if not self.assigned:
            return ContractState.NOT_ASSIGNED
        if self.problem is not None:
            return ContractState.NO_DATA
        if not is_open(self.calendar, at):
            return ContractState.MARKET_CLOSED
        heard = self.waiting_since if self.last_frame is None else self.last_frame
        just_opened = not is_open(self.calendar, at - timedelta(seconds=silent_after))
        if now - max(heard, self.waiting_since) >= silent_after and not just_opened:
            # Field 6509 begins with R for real-time data: without it the silence has a reason.
            entitled = self.availability is None or self.availability.startswith("R")
            return ContractState.SILENT if entitled else ContractState.NO_DATA
        if self.warm or self._two_sided_long_enough(now):
            return ContractState.LIVE
        return ContractState.WARMING_UP

    def apply(self, payload: bytes, now: float, at: datetime) -> Undecodable | None:
        """Take one ladder frame of this contract; what could not be read is returned."""
        self.ladder_frames += 1
        self.frames_of_connection += 1
        self.last_frame, self.last_frame_at = now, at
        rows = decode_ladder(payload)
        if isinstance(rows, Undecodable):
            self.book.frame_lost()
            return rows
        epoch = self.book.epoch
        update = self.book.apply(rows)
        if isinstance(update, Undecodable):
            return update
        if self.book.epoch != epoch:
            self.warm, self.two_sided_since = False, None
        touch = self.book.touch()
        self.two_sided += touch.two_sided
        self.crossed += touch.crossed
        if touch.two_sided and self.two_sided_since is None:
            self.two_sided_since = now
        self.warm = self.warm or (self.book.complete and touch.two_sided)
        return None

    def disconnected(self) -> None:
        """The connection ended: the book is unknown until the next full frame."""
        self.book.disconnected()
        self.frames_of_connection = 0
        self.warm, self.two_sided_since = False, None

    def _two_sided_long_enough(self, now: float) -> bool:
        return self.two_sided_since is not None and now - self.two_sided_since > WARM_UP_LONGEST


class Tracker:
    """All contracts of one streamer run, and the frames that could not be decoded."""

    def __init__(self, silent_after: float) -> None:
        self.silent_after = silent_after
        self.contracts: dict[str, TrackedContract] = {}
        self.undecodable: Counter[str] = Counter()

    def assign(self, calendars: Mapping[str, CalendarName], now: float) -> None:
        """The contracts (keys, with calendars) to stream from now on. Others that were assigned
        before in this run stay visible as NOT_ASSIGNED."""
        for key, contract in self.contracts.items():
            contract.assigned = key in calendars
        for key, calendar in calendars.items():
            known = self.contracts.setdefault(key, TrackedContract(calendar, now))
            known.calendar = calendar
            if known.conid is None:
                known.waiting_since = now

    def resolved(self, key: str, conid: int, now: float) -> None:
        """The contract means this conid. Another conid than before is another book."""
        contract = self.contracts[key]
        contract.problem = None
        if contract.conid != conid:
            if contract.conid is not None:
                # Counters are of the contract key; the book, the quote and the silence are not.
                contract.disconnected()
                contract.last_frame = contract.availability = None
            contract.conid, contract.waiting_since = conid, now

    def unresolvable(self, key: str, problem: str) -> None:
        """The contract means nothing that could be streamed; ``problem`` is for people."""
        self.contracts[key].problem = problem

    def hours_differ(self, key: str, found: Mapping[date, str]) -> None:
        """Where IBKR's trading hours contradict the calendar, by trade date; for people only."""
        self.contracts[key].hours_differ = found

    def ladder_requested(self, key: str) -> None:
        """A request went out: the next full frame begins a new epoch."""
        self.contracts[key].book.subscription_requested()

    def connected(self, now: float) -> None:
        """Subscriptions can be made from now on: until then no frame was due."""
        for contract in self.contracts.values():
            contract.waiting_since = now

    def disconnected(self) -> None:
        for contract in self.contracts.values():
            contract.disconnected()

    def frames_lost(self) -> None:
        """Frames were received and not kept, nobody knows whose: no book is to be trusted."""
        for contract in self.contracts.values():
            contract.book.frame_lost()

    def frame(self, payload: bytes, received_ns: int, monotonic_ns: int) -> FrameKind:
        """Take one frame of any topic. Never raises, whatever the payload is."""
        kind = classify(payload)
        problem = kind.error
        contract = self._contract_of(kind.conid)
        if contract is not None and kind.topic == LADDER:
            at = datetime.fromtimestamp(received_ns / _NANOS, UTC)
            problem = problem or contract.apply(payload, monotonic_ns / _NANOS, at)
        elif contract is not None and kind.topic == QUOTE:
            quote = decode_quote(payload)
            if isinstance(quote, Undecodable):
                problem = quote
            else:
                problem = quote.problem
                contract.availability = quote.availability or contract.availability
        if problem is not None:
            self.undecodable[problem.reason] += 1
        return kind

    def states(self, now: float, at: datetime) -> dict[str, ContractState]:
        return {
            key: contract.state(now, at, self.silent_after)
            for key, contract in self.contracts.items()
        }

    def health(self, now: float, at: datetime) -> dict[str, ContractHealth]:
        """One entry per contract that was assigned in this run."""
        states = self.states(now, at)
        today = trade_date_of(at)
        return {
            key: ContractHealth(
                conid=contract.conid,
                state=states[key],
                epoch=contract.book.epoch,
                ladder_frames=contract.ladder_frames,
                two_sided=contract.two_sided,
                crossed=contract.crossed,
                last_frame_at=contract.last_frame_at,
                reason=(
                    None
                    if states[key] is ContractState.LIVE
                    else contract.problem or contract.hours_differ.get(today)
                ),
            )
            for key, contract in self.contracts.items()
        }

    def pod_state(
        self,
        session: Judgement,
        *,
        connected: bool,
        waiting_for: str | None,
        at: datetime,
        now: float,
    ) -> Judgement:
        """State of the pod: the session's, and STREAMING when ladders come (or may not).

        ``waiting_for``: what the streamer lacks beside the session, in words, or None.
        """
        if session.state is not PodState.AUTHENTICATED:
            return session
        states = {k: s for k, s in self.states(now, at).items() if self.contracts[k].assigned}
        key_and_state = worst(states)
        if not connected or waiting_for is not None or key_and_state is None:
            reason = waiting_for or "authenticated; the websocket is not connected yet"
            return Judgement(PodState.AUTHENTICATED, reason)
        key, state = key_and_state
        problem = self.contracts[key].problem
        reason = f"worst of {len(states)} contracts: {key} {state}" + (
            f": {problem}" * bool(problem)
        )
        if self._streams(states):
            return Judgement(PodState.STREAMING, reason)
        return Judgement(PodState.AUTHENTICATED, reason)

    def _streams(self, states: Mapping[str, ContractState]) -> bool:
        if all(state is ContractState.MARKET_CLOSED for state in states.values()):
            return True
        return any(
            state is ContractState.LIVE
            or (state is ContractState.WARMING_UP and self.contracts[key].frames_of_connection > 0)
            for key, state in states.items()
        )

    def _contract_of(self, conid: int | None) -> TrackedContract | None:
        if conid is None:
            return None
        return next((c for c in self.contracts.values() if c.conid == conid), None)
