"""What a streamer knows about its contracts, from evidence only. PURE: clocks are arguments.

``now`` is monotonic seconds and measures durations; ``at`` is an aware instant and is compared with
the trading calendar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

from ib_platform.health import ContractHealth
from ib_platform.ibkr.session import Judgement
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.frames import LADDER, QUOTE, FrameKind, Undecodable, classify
from ib_platform.marketdata.quotes import decode_quote
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.states import ContractState, PodState
from ib_platform.streamer.ladder_watch import LadderSight
from ib_platform.streamer.tracked_contract import TrackedContract

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
                contract.means_another()
            contract.conid, contract.waiting_since = conid, now

    def unresolvable(self, key: str, problem: str) -> None:
        """The contract means nothing that could be streamed; ``problem`` is for people."""
        self.contracts[key].problem = problem

    def hours_differ(self, key: str, found: Mapping[date, str]) -> None:
        """Where IBKR's trading hours contradict the calendar, by trade date; for people only."""
        self.contracts[key].hours_differ = found

    def ladder_requested(self, key: str, now: float) -> None:
        """A request went out: the next full frame begins a new epoch. Before the first request of a
        connection nothing was due: ladders are asked for one after the other."""
        contract = self.contracts[key]
        contract.book.subscription_requested()
        if not contract.requested:
            contract.requested, contract.waiting_since = True, now

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
                contract.take_quote(quote)
        if problem is not None:
            self.undecodable[problem.reason] += 1
        return kind

    def states(self, now: float, at: datetime) -> dict[str, ContractState]:
        return {
            key: contract.state(now, at, self.silent_after)
            for key, contract in self.contracts.items()
        }

    def sights(self, now: float, at: datetime) -> dict[str, LadderSight]:
        """What the subscriptions are planned from."""
        return {
            key: contract.sight(now, at, self.silent_after)
            for key, contract in self.contracts.items()
        }

    def hold_only(self, not_held: Iterable[str], why: str) -> None:
        """The session holds no ladder of these contracts beside the others, and why."""
        left_out = set(not_held)
        for key, contract in self.contracts.items():
            contract.not_held = why if key in left_out else None

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
                reason=contract.reason(now, at, self.silent_after)
                or (
                    None if states[key] is ContractState.LIVE else contract.hours_differ.get(today)
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
        why = self.contracts[key].reason(now, at, self.silent_after)
        reason = f"worst of {len(states)} contracts: {key} {state}" + (f": {why}" if why else "")
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
