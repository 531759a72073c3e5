"""When one ladder has to be asked for again. PURE: clocks are arguments.

A ladder counts as answered with the first full frame after its request: deltas that arrive before
it belong to the old subscription (observed page, point 4). One that has sent anything since and
falls silent is asked for again at once; one that does not answer, with growing patience.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ib_platform.states import Cause

ANSWER_DUE = 10.0
"""A ladder that has sent no full frame this long after its request is asked for again."""
LONGEST_PATIENCE = 60.0
LONGEST_WITHOUT_ENTITLEMENT = 600.0
"""Requests cure no missing entitlement: where field 6509 denies it, they become this rare."""
REQUESTS_BEFORE_RECONNECT = 3
QUOTE_RENEWAL = 540.0
"""Quotes end by themselves after 15 minutes; they are renewed after 9, a tenth more or less."""
_JITTER = 0.1

Chance = Callable[[], float]
"""Answers a number in [0, 1): ``random.random``, or what a test decides."""


def jittered(seconds: float, chance: float) -> float:
    """``seconds``, a tenth more or less."""
    return seconds * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(frozen=True, slots=True)
class LadderSight:
    """What the tracker sees of a ladder. Instants are monotonic seconds, None = never.

    ``answered_at``: the newest full frame that began an epoch. ``last_frame``: the newest frame
    that could be read. ``silence``: why nothing comes although something was due, None when it is
    not silent. ``entitled``: whether field 6509 says real time, None when it was not said.
    ``halted``: IBKR itself says that nothing trades. ``reason``: for people.
    """

    market_open: bool = True
    live: bool = False
    answered_at: float | None = None
    last_frame: float | None = None
    silence: Cause | None = None
    entitled: bool | None = None
    halted: bool = False
    reason: str | None = None

    @property
    def cause(self) -> Cause:
        """Why a ladder that does not answer is asked for again."""
        if self.silence is not None:
            return self.silence
        return Cause.NO_ENTITLEMENT if self.entitled is False else Cause.SILENT_LADDER


@dataclass
class OpenLadder:
    """A ladder that was asked for on this connection.

    ``vain``: requests in a row without an answer, the newest not counted. ``anew``: it must be
    asked for again with the next plan. ``reported``: the silence that the record tells of.
    """

    conid: int
    asked_at: float
    vain: int = 0
    anew: Cause | None = None
    reported: Cause | None = None
    open_since: float | None = None
    renew_at: float | None = None
    quote_due_at: float | None = None
    _denied: bool = field(default=False, repr=False)

    def asked(self, now: float, *, vain: int = 0) -> None:
        """A request goes out."""
        self.asked_at, self.vain, self.renew_at = now, vain, None

    def look(self, now: float, sight: LadderSight) -> None:
        """Take the newest sight."""
        if not sight.market_open:
            self.open_since = None
        elif self.open_since is None:
            self.open_since = now
        if self._denied and sight.entitled is not False:
            # What the long patience was for has ended.
            self.vain = 0
        self._denied = sight.entitled is False

    def answered(self, sight: LadderSight) -> bool:
        return sight.answered_at is not None and sight.answered_at >= self.asked_at

    def patience(self) -> float:
        """Seconds that the newest request may stay without an answer, in open hours."""
        longest = LONGEST_WITHOUT_ENTITLEMENT if self._denied else LONGEST_PATIENCE
        return float(min(ANSWER_DUE * 2 ** min(self.vain, 10), longest))

    def in_vain(self, now: float, sight: LadderSight) -> bool:
        """Whether the newest request has not been answered, and its patience is over. It begins
        with the opening of the market, if that came later."""
        if self.open_since is None or self.answered(sight):
            return False
        return now - max(self.asked_at, self.open_since) >= self.patience()

    def why_again(self, now: float, sight: LadderSight) -> str | None:
        """Why it has to be asked for again, in a word; None when it has not."""
        if self.open_since is None:
            return None
        came = sight.last_frame is not None and sight.last_frame >= self.asked_at
        if sight.silence is not None and (came or self.answered(sight)):
            return "silent"
        return "no_answer" if self.in_vain(now, sight) else None

    def beyond_requests(self, now: float, sight: LadderSight) -> bool:
        """Whether so many requests were in vain that only a new connection may help."""
        tries = self.vain + 1
        hopeless = sight.entitled is False or sight.halted
        return tries >= REQUESTS_BEFORE_RECONNECT and not hopeless and self.in_vain(now, sight)
