"""How many ladders one session holds, concluded from requests and arrivals. PURE.

Unproven at IBKR (``ibkr_web_api.md`` section 3.5), so each session finds out by itself, in open
hours. Ladders are asked for one after the other, and each request of one more ladder while others
flow is an **experiment**: does it come, and do the others go on?

A proof that several go on together needs one experiment. That an earlier ladder stops, or that a
further one never comes, may also be a quiet market or one contract's own silence. So it is believed
only when two experiments with different contracts agree, only of ladders that were lively, and only
of contracts that have come at some time: one that stayed away is asked for alone (``doubtful``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ib_platform.health import LadderCapability
from ib_platform.states import LadderMode
from ib_platform.streamer.ladder_watch import ANSWER_DUE, LadderSight

SETTLE = 2.0
"""Frames of a ladder that stops may still arrive so long after the request that stops it."""
WATCH = 10.0
"""How long the others are watched after that (reference section 3.5)."""
_BEFORE = 10.0
FLOWING = 3.0
"""A ladder flows when it has sent a frame this short a time ago."""
LIVELY = 5
"""Frames in the ten seconds before: fewer, and a silence of ten seconds means nothing."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """``ladders``: how many went on together."""

    mode: LadderMode
    ladders: int
    evidence: str


@dataclass(frozen=True, slots=True)
class _Experiment:
    """``rates``: the ladders that flowed before the request, in frames a second."""

    asked: str
    at: float
    rates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Against:
    """Evidence that not all go on. ``held``: how many did."""

    mode: LadderMode
    asked: str
    held: int


@dataclass
class CapabilityProbe:
    """Takes requests and sights of one session after another; ``conclude`` says what they prove."""

    proven: int = 0
    _together: tuple[str, ...] = ()
    _against: list[_Against] = field(default_factory=list)
    _arrivals: dict[str, deque[float]] = field(default_factory=dict)
    _running: _Experiment | None = None
    _last_request: float | None = None
    _ever_came: set[str] = field(default_factory=set)
    _alone: set[str] = field(default_factory=set)

    def look(self, now: float, sights: Mapping[str, LadderSight]) -> None:
        """Take the newest sights; they end an experiment whose time is over."""
        for key, sight in sights.items():
            seen = self._arrivals.setdefault(key, deque(maxlen=256))
            if sight.last_frame is not None and (not seen or sight.last_frame > seen[-1]):
                seen.append(sight.last_frame)
                self._ever_came.add(key)
        together = self._going_on()
        if len(together) > 1:
            self._prove(together)
        if (running := self._running) is None:
            return
        involved = {running.asked, *running.rates}
        if not all(key in sights and sights[key].market_open for key in involved):
            self._running = None
        elif involved <= {*together} or now >= running.at + SETTLE + WATCH:
            self._judge(running, now, sights[running.asked])
            self._running = None

    def requested(self, key: str, now: float, sights: Mapping[str, LadderSight]) -> None:
        """A ladder is asked for. It ends the experiment before, and begins one if this ladder does
        not flow while others do."""
        if (running := self._running) is not None and running.asked in sights:
            self._judge(running, now, sights[running.asked])
        self._running, self._last_request = None, now
        rates = {
            other: self._frames(other, now) / _BEFORE
            for other, sight in sights.items()
            if other != key and sight.market_open and self._flows(other, now)
        }
        if rates and key in sights and sights[key].market_open and not self._flows(key, now):
            self._running = _Experiment(key, now, rates)

    def forget(self) -> None:
        """Connection, session or subscriptions ended: what was running proves nothing."""
        self._running = self._last_request = None
        self._arrivals.clear()

    @property
    def is_running(self) -> bool:
        """Whether another request now would spoil an experiment."""
        return self._running is not None

    def is_lively(self, key: str, now: float) -> bool:
        """Whether the ladder sends so many frames that its silence would mean something."""
        return self._frames(key, now) >= LIVELY

    def take_doubtful(self) -> str | None:
        """A ladder that has never come, though others went on: it may be silent by itself. Asked
        for alone, it tells. Each is named once."""
        for found in self._against:
            doubtful = found.mode is LadderMode.FIRST_WINS and found.asked not in self._ever_came
            if doubtful and found.asked not in self._alone:
                self._alone.add(found.asked)
                return found.asked
        return None

    def conclude(self) -> Conclusion | None:
        """What is proven so far; None as long as nothing is."""
        for mode in (LadderMode.REPLACE, LadderMode.FIRST_WINS):
            found = [each for each in self._against if each.mode is mode]
            asked = sorted({each.asked for each in found} & self._ever_came)
            if len(asked) > 1:
                held = max([self.proven, *(each.held for each in found)])
                return Conclusion(mode, held, _what_was_seen(mode, asked, held))
        if self.proven < 2:
            return None
        together = ", ".join(self._together)
        return Conclusion(LadderMode.MULTIPLEX, self.proven, f"frames of {together} came together")

    def _frames(self, key: str, now: float) -> int:
        return sum(now - _BEFORE <= at <= now for at in self._arrivals.get(key, ()))

    def _flows(self, key: str, now: float) -> bool:
        return self._came(key, now - FLOWING)

    def _came(self, key: str, since: float) -> bool:
        return any(at > since for at in self._arrivals.get(key, ()))

    def _going_on(self) -> tuple[str, ...]:
        """Ladders that flow together: nothing was asked for meanwhile, so none came in place of
        another."""
        if self._last_request is None:
            return ()
        since = self._last_request + SETTLE
        return tuple(key for key in self._arrivals if self._came(key, since))

    def _judge(self, running: _Experiment, now: float, sight: LadderSight) -> None:
        since = running.at + SETTLE
        watched = now - since
        came = self._came(running.asked, running.at)
        on = [key for key in running.rates if self._came(key, since)]
        off = [
            key
            for key, rate in running.rates.items()
            if key not in on and watched > 0 and rate * min(watched, WATCH) >= LIVELY
        ]
        if came and off:
            self._doubt(_Against(LadderMode.REPLACE, running.asked, len(on) + 1))
        elif self._stayed_away(running, now, sight) and on and not off:
            self._doubt(_Against(LadderMode.FIRST_WINS, running.asked, len(on)))

    def _stayed_away(self, running: _Experiment, now: float, sight: LadderSight) -> bool:
        """A ladder without real-time data would not come anyway."""
        entitled = sight.entitled is True and not sight.halted
        return (
            entitled
            and not self._came(running.asked, running.at)
            and now - running.at >= ANSWER_DUE
        )

    def _doubt(self, found: _Against) -> None:
        # A session that has held more is not in doubt: some ladder is silent by itself.
        if found.held >= self.proven and found not in self._against:
            self._against.append(found)

    def _prove(self, together: tuple[str, ...]) -> None:
        if len(together) > self.proven:
            self.proven, self._together = len(together), together
        # What held fewer was a coincidence.
        self._against = [each for each in self._against if each.held >= len(together)]


def _what_was_seen(mode: LadderMode, asked: list[str], held: int) -> str:
    tried = " and of ".join(asked)
    if mode is LadderMode.REPLACE:
        return f"each request, of {tried}, silenced an earlier ladder; {held} went on"
    return f"a request of {tried} stayed without an answer while {held} went on"


def holds(capability: LadderCapability | None) -> int | None:
    """How many ladders may be asked for; None = no limit is known."""
    if capability is None or capability.mode is LadderMode.MULTIPLEX:
        return None
    return max(1, capability.ladders)


def is_news(conclusion: Conclusion, known: LadderCapability | None) -> bool:
    """Whether a conclusion says more than what is known. With fewer contracts than before, fewer
    ladders are proven together: that is no news."""
    if known is None:
        return True
    if conclusion.mode is not known.mode:
        grown = conclusion.ladders > known.ladders
        return conclusion.mode is not LadderMode.MULTIPLEX or grown
    more = conclusion.ladders > known.ladders
    return more if conclusion.mode is LadderMode.MULTIPLEX else conclusion.ladders != known.ladders


def first_of(keys: Iterable[str], capability: LadderCapability | None) -> list[str]:
    """The contracts whose ladders are asked for, in the order of the assignment."""
    return list(keys)[: holds(capability)]
