"""Which ladders are open in a session, and whose they are.

A session holds at most ``slots`` ladders over all its websockets, all of them live at once (mode
``multiplex``). What lies beyond stays silent: IBKR's reaction is unknown, and silence is the
hardest one. ``ubd`` is keyed by the account, so it ends every ladder of the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ib_platform.simulator.ladder_view import LadderView

logger = logging.getLogger(__name__)


class LadderDesk:
    """Open ladders by (owner, conid). A ladder without a view holds a slot and shows nothing of
    its own: its frames come from a recording."""

    def __init__(self, slots: int, open_view: Callable[[int], LadderView | None]) -> None:
        self._slots = slots
        self._open_view = open_view
        self._ladders: dict[tuple[object, int], LadderView | None] = {}

    def __len__(self) -> int:
        return len(self._ladders)

    def subscribe(self, owner: object, conid: int, now: float) -> None:
        """Open the ladder, or ask an open one for a new full frame."""
        key = (owner, conid)
        if key not in self._ladders:
            if len(self._ladders) >= self._slots:
                logger.info("ladder %d: all %d slots are taken, stays silent", conid, self._slots)
                return
            self._ladders[key] = self._open_view(conid)
        view = self._ladders[key]
        if view is not None:
            view.request(now)

    def stop_all(self) -> bool:
        """End every ladder of the session; False if there was none."""
        had_some = bool(self._ladders)
        self._ladders.clear()
        return had_some

    def leave(self, owner: object) -> None:
        """The owner's websocket is gone: so are its ladders."""
        self._ladders = {key: view for key, view in self._ladders.items() if key[0] is not owner}

    def views_of(self, owner: object) -> Iterator[tuple[int, LadderView]]:
        """The owner's ladders that show the synthetic market."""
        for key, view in list(self._ladders.items()):
            # Sending takes time: meanwhile ``ubd`` may have ended the rest.
            if key[0] is owner and view is not None and key in self._ladders:
                yield key[1], view
