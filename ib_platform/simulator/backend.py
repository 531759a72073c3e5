"""Everything that one simulated gateway knows about its paper user: the shared state of REST and
websockets. Clocks are injected; nothing here does I/O."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ib_platform.config import PaperUser
from ib_platform.marketdata.frames import LADDER, classify
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_desk import LadderDesk
from ib_platform.simulator.ladder_view import LadderParameters, LadderView
from ib_platform.simulator.market import Market, MarketParameters
from ib_platform.simulator.replay import Outlets, Replay
from ib_platform.simulator.session import SessionMachine, SessionParameters


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Every named parameter of the simulation. Times in seconds.

    ``cadence``: grid of ladder frames. ``greeting_delay``: until the first frame of a websocket;
    what the client sends before is dropped.
    """

    cadence: float = 0.3
    greeting_delay: float = 0.1
    heartbeat_every: float = 10.0
    session: SessionParameters = field(default_factory=SessionParameters)
    market: MarketParameters = field(default_factory=MarketParameters)
    ladder: LadderParameters = field(default_factory=LadderParameters)


class Sent:
    """How many frames were written to sockets, of all topics and per ladder."""

    def __init__(self) -> None:
        self.frames = 0
        self.ladder_frames: Counter[int] = Counter()

    def count(self, payload: bytes) -> None:
        self.frames += 1
        kind = classify(payload)
        if kind.topic == LADDER and kind.conid is not None:
            self.ladder_frames[kind.conid] += 1


class Backend:
    """One paper user behind one gateway. ``clock``: monotonic seconds; ``wall``: unix seconds."""

    def __init__(
        self,
        user: PaperUser,
        *,
        seed: int,
        replay: Replay | None = None,
        behaviour: Behaviour | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.user = user
        self.replay = replay
        self.behaviour = behaviour or Behaviour()
        self.clock = clock
        self._wall = wall
        self._seed = seed
        self._began = clock()
        self.login_ms = self.wall_ms()
        self.session_id = uuid.uuid4().hex
        self.session = SessionMachine(self._began, self.behaviour.session)
        self.catalogue = Catalogue.on(datetime.fromtimestamp(wall(), UTC).date())
        if replay is not None:
            capture = replay.capture
            self.catalogue = self.catalogue.with_front_conid(capture.symbol, capture.conid)
        self.ladders = LadderDesk(user.depth_slots, self._open_view)
        self.outlets = Outlets()
        self.sent = Sent()
        self._markets: dict[int, Market] = {}

    def wall_ms(self) -> int:
        """Unix milliseconds."""
        return int(self._wall() * 1000)

    def is_replayed(self, conid: int) -> bool:
        """Whether this contract's frames come from a recording."""
        return self.replay is not None and self.replay.capture.conid == conid

    def market(self, conid: int) -> Market | None:
        """The synthetic market of a contract; None if it is unknown or replayed."""
        contract = self.catalogue.get(conid)
        if contract is None or self.is_replayed(conid):
            return None
        if conid not in self._markets:
            self._markets[conid] = Market(
                contract, seed=self._seed, start=self._began, parameters=self.behaviour.market
            )
        return self._markets[conid]

    def record(self) -> dict[str, object]:
        """What was written to sockets: answer of the simulator's own record endpoint."""
        replay = None
        if self.replay is not None:
            sent, total = self.replay.sent, self.replay.total
            replay = {"total": total, "sent": sent, "done": sent == total}
        ladders = {str(conid): count for conid, count in sorted(self.sent.ladder_frames.items())}
        return {"ladder_frames_sent": ladders, "frames_sent": self.sent.frames, "replay": replay}

    def _open_view(self, conid: int) -> LadderView | None:
        market = self.market(conid)
        if market is None:
            return None
        return LadderView(market, seed=self._seed, parameters=self.behaviour.ladder)
