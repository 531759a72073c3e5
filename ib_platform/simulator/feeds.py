"""Market data of one greeted websocket: its quotes and ladders, and the faults that bite there."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from random import Random

from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.ladder_desk import LadderAnswer
from ib_platform.simulator.ladder_view import LadderView, Row, encode_ladder
from ib_platform.simulator.login import Login
from ib_platform.simulator.mangle import CONTENT_FAULTS, encode_mangled, mangled
from ib_platform.simulator.quote_fields import field_values
from ib_platform.simulator.quote_view import QuoteView
from ib_platform.simulator.socket_faults import truncated
from ib_platform.simulator.world import World

_WITH_LADDERS = "R"
"""In the recordings no ladder came on the day on which 6509 said delayed."""
_LYING = (FaultKind.CROSSED_BOOK, FaultKind.DUPLICATED_ROWS, FaultKind.TRUNCATED_JSON)
"""A client cannot read from such frames what the ladder is."""
_SILENCING = (FaultKind.SILENT_LADDER, FaultKind.LADDER_NOT_ENTITLED)


class Feeds:
    """``owner``: the websocket that the ladders belong to. Instants are simulated seconds."""

    def __init__(self, world: World, login: Login, owner: object, luck: Random) -> None:
        self._world = world
        self._login = login
        self._owner = owner
        self._luck = luck
        self._quotes: dict[int, QuoteView] = {}
        self._server_ids = itertools.count()

    def subscribe_quote(self, conid: int, fields: tuple[str, ...], now: float) -> None:
        """Begin a quote, or begin it anew; an unknown contract stays silent."""
        world, username = self._world, self._login.user.username
        market = world.market(conid)
        if market is None or world.is_replayed(username, conid):
            return
        wanted = tuple(dict.fromkeys(fields))

        def sample(at: float) -> dict[str, str | int]:
            phase = world.phase_of(conid, username)
            if phase.moves:
                market.advance(at)
            return field_values(market, wanted, self._availability(conid), phase)

        self._quotes[conid] = QuoteView(
            conid,
            sample,
            server_id=f"q{next(self._server_ids)}",
            now=now,
            luck=self._luck,
            parameters=world.behaviour.quotes,
        )

    def unsubscribe_quote(self, conid: int) -> None:
        self._quotes.pop(conid, None)

    def subscribe_ladder(self, conid: int, now: float) -> LadderAnswer | None:
        """Ask the session's desk; None when the contract is unknown or nobody is entitled."""
        if self._world.catalogue.get(conid) is None or self._is_gone(conid):
            return None
        if self._fault(FaultKind.LADDER_NOT_ENTITLED, conid) is not None:
            return None
        ladders = self._login.ladders
        answer = ladders.subscribe(self._owner, conid, now)
        if self._fault(FaultKind.LAID_AROUND_ZERO, conid) is not None:
            for opened, view in ladders.views_of(self._owner, now):
                if opened == conid:
                    view.lay_around_zero()
        return answer

    def end(self) -> None:
        """Everything ends, without a word."""
        self._quotes.clear()
        self._login.ladders.leave(self._owner)

    def suffer(self, fault: Fault, now: float) -> None:
        """An instant fault of market data happens to the contracts that it is limited to."""
        ladders = self._login.ladders
        match fault.kind:
            case FaultKind.QUOTES_EXPIRED:
                for conid in [conid for conid in self._quotes if self._concerns(fault, conid)]:
                    del self._quotes[conid]
            case FaultKind.LADDERS_EXPIRED:
                for conid in ladders.conids_of(self._owner):
                    if self._concerns(fault, conid):
                        ladders.end(self._owner, conid)
            case FaultKind.RELAID_WINDOW:
                for conid, view in ladders.views_of(self._owner, now):
                    if self._concerns(fault, conid):
                        view.relay()
            case _:
                pass

    def due(self, now: float) -> Iterator[bytes]:
        """Frames of all feeds that are due at ``now``."""
        # Asked once: without any fault there is nothing to ask for each frame.
        troubled = bool(self._world.faults.all(now))
        for conid, quote in list(self._quotes.items()):
            # Sending takes time: meanwhile the client may have ended or renewed this one.
            if self._quotes.get(conid) is not quote:
                continue
            if quote.ends <= now:
                del self._quotes[conid]
                continue
            for frame in quote.poll(now, self._world.wall_ms()):
                yield from self._on_the_wire(conid, frame) if troubled else (frame,)
        user = self._login.user
        if not user.availability.startswith(_WITH_LADDERS):
            return
        for conid, view in self._login.ladders.views_of(self._owner, now):
            if troubled:
                yield from self._troubled_ladder(conid, view, now)
            elif (rows := view.poll(now)) is not None:
                self._tell_truth(conid, view)
                yield encode_ladder(user.account, conid, rows)

    def _troubled_ladder(self, conid: int, view: LadderView, now: float) -> Iterator[bytes]:
        if any(self._fault(kind, conid) for kind in _SILENCING) or self._is_gone(conid):
            return
        if not self._availability(conid).startswith(_WITH_LADDERS):
            return
        if (rows := view.poll(now)) is not None:
            self._tell_truth(conid, view)
            yield from self._on_the_wire(conid, self._encode(conid, rows))

    def _tell_truth(self, conid: int, view: LadderView) -> None:
        """What the ladder truly is now, for whoever asked for it."""
        if self._world.truths is None:
            return
        lies = any(self._fault(kind, conid) is not None for kind in _LYING)
        truth = dataclasses.replace(view.truth(), faithful=not lies)
        self._world.truths(self._login.user.username, conid, truth)

    def _encode(self, conid: int, rows: list[Row]) -> bytes:
        account, market = self._login.user.account, self._world.market(conid)
        kinds = [kind for kind in CONTENT_FAULTS if self._fault(kind, conid) is not None]
        if market is None or not kinds:
            return encode_ladder(account, conid, rows)
        return encode_mangled(account, conid, mangled(rows, kinds, market, self._luck))

    def _on_the_wire(self, conid: int, frame: bytes) -> Iterator[bytes]:
        if self._fault(FaultKind.TRUNCATED_JSON, conid) is not None:
            frame = truncated(frame)
        yield frame
        if self._fault(FaultKind.DUPLICATED_FRAMES, conid) is not None:
            yield frame

    def _is_gone(self, conid: int) -> bool:
        """Whether it is the front month that a fault took away."""
        if self._fault(FaultKind.CONTRACT_GONE, conid) is None:
            return False
        months = self._world.catalogue.months_of(self._world.symbol_of(conid) or "")
        return bool(months) and months[0].conid == conid

    def _availability(self, conid: int) -> str:
        """Field 6509 now."""
        fault = self._fault(FaultKind.NO_DATA, conid)
        return self._login.user.availability if fault is None else str(fault["availability"])

    def _fault(self, kind: FaultKind, conid: int) -> Fault | None:
        return self._world.fault(kind, self._login.user.username, self._world.symbol_of(conid))

    def _concerns(self, fault: Fault, conid: int) -> bool:
        return fault.concerns(self._login.user.username, self._world.symbol_of(conid))
