"""Which ladders are open in a session, and whose they are. Pure: instants come from the caller.

A session holds its ladders over all its websockets. Whether IBKR streams several of them at once is
unproven, so there are three modes: ``multiplex`` (all at once, up to a maximum), ``replace`` (the
newest silences the others) and ``first_wins`` (as long as one is open, no other ever arrives).
What lies beyond stays silent: IBKR's reaction is unknown, and silence is the hardest one. ``ubd``
is keyed by the account, so it ends every ladder of the session.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ib_platform.simulator.behaviour import SeveralLaddersParameters
from ib_platform.simulator.ladder_view import LadderView
from ib_platform.states import LadderMode

logger = logging.getLogger(__name__)


class LadderAnswer(StrEnum):
    """What became of a request: a new ladder, a keyframe of an open one, or nothing at all."""

    OPENED = "opened"
    AGAIN = "again"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class _Ladder:
    view: LadderView | None
    ends: float


class LadderDesk:
    """Open ladders by owner (a websocket) and conid.

    A ladder whose ``open_view`` is None holds a slot and shows nothing of its own: its frames come
    from a recording. ``slots``: the user's, used unless the parameters say otherwise.
    """

    def __init__(
        self,
        parameters: SeveralLaddersParameters,
        slots: int,
        open_view: Callable[[int], LadderView | None],
    ) -> None:
        self._mode = parameters.mode
        self._lifetime = math.inf if parameters.lifetime is None else parameters.lifetime
        self._most = slots if parameters.most is None else parameters.most
        self._open_view = open_view
        self._ladders: dict[object, dict[int, _Ladder]] = {}

    def __len__(self) -> int:
        return sum(len(ladders) for ladders in self._ladders.values())

    @property
    def conids(self) -> tuple[int, ...]:
        """Open ladders of all websockets."""
        return tuple(conid for ladders in self._ladders.values() for conid in ladders)

    def subscribe(self, owner: object, conid: int, now: float) -> LadderAnswer:
        """Open the ladder, or ask an open one for a new full frame; either begins a lifetime."""
        self._drop_expired(now)
        known = self._ladders.get(owner, {}).get(conid)
        if known is None and not self._make_room():
            logger.info("ladder %d: no slot is free (%s), stays silent", conid, self._mode)
            return LadderAnswer.FULL
        view = self._open_view(conid) if known is None else known.view
        self._ladders.setdefault(owner, {})[conid] = _Ladder(view, now + self._lifetime)
        if view is not None:
            view.request(now)
        return LadderAnswer.OPENED if known is None else LadderAnswer.AGAIN

    def stop_all(self) -> bool:
        """End every ladder of the session; False if there was none."""
        had_some = bool(self._ladders)
        self._ladders.clear()
        return had_some

    def leave(self, owner: object) -> None:
        """The owner's websocket is gone: so are its ladders."""
        self._ladders.pop(owner, None)

    def end(self, owner: object, conid: int) -> None:
        """One ladder ends without a word; no-op if it is not open."""
        ladders = self._ladders.get(owner, {})
        ladders.pop(conid, None)
        if not ladders:
            self.leave(owner)

    def conids_of(self, owner: object) -> tuple[int, ...]:
        """The owner's open ladders, oldest first."""
        return tuple(self._ladders.get(owner, ()))

    def views_of(self, owner: object, now: float) -> Iterator[tuple[int, LadderView]]:
        """The owner's ladders that show the synthetic market at ``now``, oldest first."""
        for conid, ladder in list(self._ladders.get(owner, {}).items()):
            # Sending takes time: meanwhile ``ubd`` or a newer ladder may have ended the rest.
            if self._ladders.get(owner, {}).get(conid) is not ladder:
                continue
            if ladder.ends <= now:
                self.end(owner, conid)
            elif ladder.view is not None:
                yield conid, ladder.view

    def _make_room(self) -> bool:
        """Whether a new ladder may be opened; in mode ``replace`` the others end for it."""
        if self._most == 0:
            return False
        if self._mode is LadderMode.REPLACE:
            self._ladders.clear()
        most = self._most if self._mode is LadderMode.MULTIPLEX else 1
        return len(self) < most

    def _drop_expired(self, now: float) -> None:
        over = [
            (owner, conid)
            for owner, ladders in self._ladders.items()
            for conid, ladder in ladders.items()
            if ladder.ends <= now
        ]
        for owner, conid in over:
            self.end(owner, conid)
