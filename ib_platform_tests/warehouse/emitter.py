"""Ladders of the simulator with its own knowledge of them, and a client's book beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import decode_ladder
from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.ladder_truth import LadderTruth
from ib_platform.states import StreamEventKind
from ib_platform_tests.warehouse.recording import Recorder, State

NANO = 1_000_000_000


@dataclass
class Client:
    """Records the frames of one ladder as a streamer would, and compares each with the truth.

    ``trusted``: a window has been laid since the last frame that lied, or the last disconnect.
    ``compared`` and ``partly``: frames that were compared, and those of them in which the emitter
    withheld a size.
    """

    recorder: Recorder
    conid: int
    contract: SimulatedContract
    trusted: bool = True
    epochs: int = 0
    compared: int = 0
    partly: int = 0
    deep: bool = False
    window: tuple[int, int] = (0, 0)
    roles: set[str] = field(default_factory=set)

    def request(self, at: int) -> None:
        self.recorder.event(at, StreamEventKind.SUBSCRIBE_REQUESTED, conid=self.conid)

    def leave(self, at: int) -> None:
        """The ladder ends: nothing known is valid any more."""
        self.recorder.event(at, StreamEventKind.UNSUBSCRIBED, conid=self.conid)
        self.trusted = True

    def hear(self, at: int, payload: bytes, truth: LadderTruth) -> None:
        """One frame. AssertionError where the book is not what the emitter says."""
        rows = decode_ladder(payload)
        if isinstance(rows, Undecodable):
            assert not truth.faithful, rows
            self.recorder.broken(at, self.conid)
            self.trusted = False
            return
        state = self.recorder.ladder(at, self.conid, rows)
        self.epochs += truth.begins
        self.trusted = truth.faithful and (self.trusted or truth.whole)
        if state is None:
            assert not truth.whole, "only a frame without a window has no state"
        elif self.trusted:
            self._compare(state, truth)

    def _compare(self, state: State, truth: LadderTruth) -> None:
        tick = int(self.contract.product.tick * NANO)
        update = state.update
        self.compared += 1
        self.partly += bool(truth.withheld)
        self.roles.add(update.role.value)
        assert update.top_price == truth.top * tick
        assert update.tick == tick
        assert state.book == truth.known, f"truth {truth}, book {state.book}"
        assert update.epoch == self.epochs
        if update.last_price is not None and update.last_size:
            assert (update.last_price, update.last_size) == (
                (truth.last[0] * tick, truth.last[1]) if truth.last else None
            )
        if truth.whole and truth.last and 0 <= truth.top - truth.last[0] <= 20 and truth.top > 20:
            assert update.last_price == truth.last[0] * tick
        self._compare_completeness(state, truth)
        assert not update.suspect

    def _compare_completeness(self, state: State, truth: LadderTruth) -> None:
        """Complete: from the frame on in which a side shows a second level, until a new window."""
        if (window := (state.update.epoch, state.update.window)) != self.window:
            self.window, self.deep = window, False
        sides = (
            [size for size in truth.known if size > 0],
            [size for size in truth.known if size < 0],
        )
        self.deep = self.deep or any(len(side) > 1 for side in sides)
        assert state.complete == self.deep
